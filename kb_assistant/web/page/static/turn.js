// A question and its answer, while it comes and as it is kept.

import { clean, copyText, el, iconButton, put, words } from "./dom.js";
import { openPassage } from "./passage.js";

// Code, or a citation: only a space or a line's beginning stands before one.
const CODE_OR_CITATION = /(```[^]*?```|`[^`\n]+`|(?<!\S)\[\d{1,3}\])/;

export class Turn {
  constructor(app, room, kept) {
    this.app = app;
    this.room = room;
    this.kept = kept;
    this.root = el("article", { class: "turn" });
    this.draw();
  }

  draw() {
    const t = this.app.t.bind(this.app);
    this.phase = el("p", { class: "phase" });
    this.early = el("div", { class: "early" });
    this.text = el("div", { class: "text", dir: "auto" });
    this.below = el("div", {});
    this.answer = el("div", { class: "answer", role: "group", "aria-label": t("answer") }, this.phase, this.early, this.text, this.below);
    this.root.replaceChildren(
      el("h2", { class: "question" }, el("span", { class: "away" }, `${t("you")}: `), words("span", this.kept.question)), this.answer);
    if (this.kept.state === "failed") this.failed(this.message);
    else if (this.kept.state === "asked") this.progress({ phase: "searching", text: "" });
    else this.finish(this.kept);
  }

  progress(state) {
    const said = this.app.t(`phase_${state.phase}`, { ahead: state.ahead });
    if (this.phase.textContent !== said) {
      this.phase.textContent = said;
      this.app.say(said);
    }
    if (state.passages && !this.early.hasChildNodes()) {
      put(this.early, el("p", { class: "label" }, this.app.t("passages")), this.list(state.passages));
    }
    if (this.text.textContent !== state.text) this.text.textContent = clean(state.text);
  }

  failed(message) {
    this.kept.state = "failed";
    this.message = message;
    this.answer.replaceChildren(el("p", { class: "failure", role: "alert" }, message));
  }

  finish(kept) {
    this.kept = kept;
    const t = this.app.t.bind(this.app);
    this.phase.remove();
    this.early.remove();
    this.answer.classList.toggle("refused", kept.state === "refused");
    this.text.replaceChildren(...this.marked());
    const badge = { refused: t("refused"), interrupted: t("interrupted") }[kept.state];
    if (badge) this.answer.prepend(el("p", { class: "badge" }, badge));
    put(this.below,
      kept.searched ? el("p", { class: "hint" }, t("searched", { searched: kept.searched })) : null,
      kept.citations.length ? el("p", { class: "label" }, t(kept.state === "refused" ? "nearest" : "sources")) : null,
      kept.citations.length ? this.list(kept.citations) : null,
      this.actions());
  }

  // The text with its citations as buttons, the words that answer in bold, and a note behind what no passage supports.
  marked() {
    const note = () => el("span", { class: "unsupported" }, this.app.t("unsupported"));
    return this.stretches().flatMap(([kind, text]) => {
      const parts = this.cited(text);
      if (kind === "highlight") return [put(el("strong", {}), parts)];
      return kind === "unsupported" ? [...parts, note()] : parts;
    });
  }

  stretches() {
    const text = [...this.kept.text]; // places count characters, of which some are two to JavaScript
    const { highlights, unsupported } = this.kept;
    const spans = [
      ...highlights.map(([start, end]) => ({ kind: "highlight", start, end })),
      ...unsupported.map(([start, end]) => ({ kind: "unsupported", start, end })),
    ];
    const found = [];
    let from = 0;
    for (const { kind, start, end } of spans.sort((one, other) => one.start - other.start)) {
      found.push(["plain", text.slice(from, start).join("")], [kind, text.slice(start, end).join("")]);
      from = end;
    }
    return [...found, ["plain", text.slice(from).join("")]];
  }

  cited(text) {
    return text.split(CODE_OR_CITATION).filter(Boolean).map(part => {
      const number = /^\[(\d+)\]$/.exec(part)?.[1];
      const at = number ? this.kept.citations.findIndex(one => one.number === Number(number)) : -1;
      if (at >= 0) return this.cite(at, part.slice(1, -1));
      return document.createTextNode(clean(part));
    });
  }

  cite(at, shown) {
    const { number, source } = this.kept.citations[at];
    return el("button", {
      type: "button", class: "cite", "aria-label": this.app.t("cite", { number, source }), "aria-haspopup": "dialog",
      onclick: () => openPassage(this.app, this.kept.citations, at),
    }, shown);
  }

  list(citations) {
    return el("ol", { class: "sources" }, citations.map((one, at) => el("li", {}, el("button", {
      type: "button", class: "source", "aria-haspopup": "dialog", onclick: () => openPassage(this.app, citations, at),
    }, el("span", { class: "number" }, one.number), el("span", { class: "where" },
      words("bdi", one.source), " ", el("span", { class: "place" }, place(this.app, one))), words("span", one.quote, { class: "quote" })))));
  }

  actions() {
    const t = this.app.t.bind(this.app);
    const row = el("div", { class: "actions" },
      iconButton("copy", t("copy"), () => this.copy()),
      iconButton("again", t("again"), () => this.room.ask(this.kept.question, this.kept.id)));
    if (this.kept.state === "interrupted") return row;
    this.thumbs = { 1: "good", "-1": "bad" };
    for (const [verdict, name] of [[1, "good"], [-1, "bad"]]) {
      this.thumbs[verdict] = iconButton(name, t(name), () => this.app.tried(() => this.rate(verdict)));
      row.append(this.thumbs[verdict]);
    }
    this.why = el("form", { class: "why", hidden: true, onsubmit: event => this.giveReason(event) },
      el("input", { "aria-label": t("reason"), placeholder: t("reason"), maxlength: 1000, autocomplete: "off" }),
      el("button", { type: "submit", class: "plain" }, t("send")));
    this.pressed();
    return [row, this.why];
  }

  pressed() {
    for (const verdict of [1, -1]) this.thumbs[verdict].setAttribute("aria-pressed", String(this.kept.verdict === verdict));
  }

  async rate(verdict) {
    this.kept.verdict = this.kept.verdict === verdict ? 0 : verdict;
    await this.app.call("rate", { turn_id: this.kept.id, verdict: this.kept.verdict, reason: this.kept.reason });
    this.pressed();
    this.why.hidden = this.kept.verdict === 0;
    const field = this.why.querySelector("input");
    field.value = this.kept.reason;
    if (!this.why.hidden) field.focus();
  }

  async giveReason(event) {
    event.preventDefault();
    this.kept.reason = this.why.querySelector("input").value;
    await this.app.tried(async () => {
      await this.app.call("rate", { turn_id: this.kept.id, verdict: this.kept.verdict, reason: this.kept.reason });
      this.why.hidden = true;
      this.thumbs[this.kept.verdict].focus();
      this.app.tell(this.app.t("thanks"));
    });
  }

  async copy() {
    const cited = this.kept.citations.map(one => `[${one.number}] ${one.source}, ${place(this.app, one)}: “${one.quote}”`);
    const noted = this.stretches().map(([kind, text]) => (kind === "unsupported" ? `${text} ${this.app.t("unsupported")}` : text));
    await copyText(clean([noted.join(""), ...cited].join("\n")));
    this.app.tell(this.app.t("copied"));
  }
}

export function place(app, citation) {
  const at = citation.page ? app.t("page", { page: citation.page }) : app.t("line", { line: citation.line_start });
  return [at, citation.heading].filter(Boolean).join(" · ");
}
