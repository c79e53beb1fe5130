// An opened citation: its passage with the quoted words marked, and a picture of its page if it is in a PDF.

import { citationPlace } from "./citations.js";
import { el, iconButton, put, words } from "./dom.js";

export function openPassage(app, citations, at) {
  const collection = app.collection;
  const body = el("div", { class: "passage-body", tabindex: "0", role: "region", "aria-label": app.t("passage") });
  const title = el("h2", { id: "kb-passage-title", dir: "auto" });
  const where = el("p", { class: "place" });
  const count = el("span", { class: "count" });
  const previous = iconButton("left", app.t("previous"), () => show(at - 1));
  const following = iconButton("right", app.t("next"), () => show(at + 1));
  const opener = document.activeElement;
  const dialog = el("dialog", { class: "passage", "aria-labelledby": "kb-passage-title" },
    el("header", {}, el("div", { class: "names" }, title, where), iconButton("close", app.t("close"), () => dialog.close())),
    body, citations.length > 1 ? el("footer", {}, previous, count, following) : null);
  dialog.addEventListener("close", () => { dialog.remove(); if (opener?.isConnected) opener.focus(); });
  dialog.addEventListener("click", event => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("keydown", event => {
    if (event.key === "ArrowLeft") show(at - 1);
    if (event.key === "ArrowRight") show(at + 1);
  });

  async function show(next) {
    if (next < 0 || next >= citations.length) return;
    at = next;
    const citation = citations[at];
    title.textContent = "";
    put(title, `[${citation.number}] `, citation.source);
    where.textContent = citationPlace(app, citation);
    count.textContent = app.t("place", { place: at + 1, all: citations.length });
    previous.disabled = at === 0;
    following.disabled = at === citations.length - 1;
    const request = { collection, citation };
    const passage = await app.attempt(() => app.call("open_citation", request));
    if (at !== next || !dialog.isConnected) return;
    if (!passage) return dialog.close();
    body.replaceChildren(...passageText(app, passage));
    body.querySelector("mark")?.scrollIntoView({ block: "center" });
    if (passage.drawn) await showPage(app, body, request, () => at === next);
  }

  document.querySelector("#kb").append(dialog);
  dialog.showModal();
  show(at);
}

function passageText(app, passage) {
  const [start, end] = passage.mark;
  const characters = [...passage.text]; // spans count characters; JavaScript counts some as two
  const part = (from, to) => characters.slice(from, to).join("");
  const around = (parts, label) => parts.map(part => words("blockquote", part, { class: "around", "aria-label": app.t(label) }));
  const own = el("blockquote", { dir: "auto" });
  put(own, part(0, start), words("mark", part(start, end)), part(end));
  return [
    passage.found ? null : el("p", { class: "failure" }, app.t("changed")),
    ...around(passage.before, "before"), own, ...around(passage.after, "after"),
  ].filter(Boolean);
}

async function showPage(app, body, request, isCurrent) {
  const waiting = el("p", { class: "hint" }, app.t("drawing"));
  body.append(waiting);
  let page;
  try {
    page = await app.call("draw_page", request);
  } catch (error) {
    waiting.textContent = error.message;
    return;
  }
  waiting.remove();
  if (!isCurrent()) return;
  const { citation } = request;
  const picture = el("img", { src: `data:image/png;base64,${page.png}`, alt: app.t("page_picture", { page: citation.page, source: citation.source }) });
  const marks = page.boxes.map(box => {
    const mark = el("span", { class: "box" });
    for (const side of ["left", "top", "width", "height"]) mark.style[side] = `${box[side] * 100}%`;
    return mark;
  });
  body.append(el("figure", { class: "page" }, picture, marks));
}
