// A question with its answer: while it is being written, and as it is kept.

import { citationPlace } from "./citations.js";
import { clean, copyText, el, iconButton, put, words } from "./dom.js";
import { openPassage } from "./passage.js";

// Code, or a citation, which follows a space or begins a line.
const CODE_OR_CITATION = /(```[^]*?```|`[^`\n]+`|(?<!\S)\[\d{1,3}\])/;

export class Turn {
  constructor(app, conversation, kept) {
    this.app = app;
    this.conversation = conversation;
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
    if (this.kept.state === "failed") this.fail(this.message);
    else if (this.kept.state === "asked") this.progress({ phase: "searching", text: "" });
    else this.finish(this.kept);
  }

  progress(state) {
    const message = this.app.t(`phase_${state.phase}`, { ahead: state.ahead });
    if (this.phase.textContent !== message) {
      this.phase.textContent = message;
      this.app.announce(message);
    }
    if (state.passages && !this.early.hasChildNodes()) {
      put(this.early, el("p", { class: "label" }, this.app.t("passages")), this.list(state.passages));
    }
    if (this.text.textContent !== state.text) this.text.textContent = clean(state.text);
  }

  fail(message) {
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
    this.text.replaceChildren(...this.textNodes());
    const badge = { refused: t("refused"), interrupted: t("interrupted") }[kept.state];
    if (badge) this.answer.prepend(el("p", { class: "badge" }, badge));
    put(this.below,
      kept.searched ? el("p", { class: "hint" }, t("searched", { searched: kept.searched })) : null,
      kept.citations.length ? el("p", { class: "label" }, t(kept.state === "refused" ? "nearest" : "sources")) : null,
      kept.citations.length ? this.list(kept.citations) : null,
      this.actions());
  }

  // The text with citations as buttons, the answer proper in bold, and a note after each claim that no passage supports.
  textNodes() {
    return this.stretches().flatMap(([kind, text]) => {
      const nodes = this.withCitations(text);
      if (kind === "highlight") return [put(el("strong", {}), nodes)];
      if (kind === "plain") return nodes;
      return [put(el("span", { class: "unsupported" }), nodes), " ", el("span", { class: "note" }, this.app.t("unsupported"))];
    });
  }

  // The text in pieces, each with its kind: plain, highlight or unsupported.
  stretches() {
    const text = [...this.kept.text]; // spans count characters; JavaScript counts some as two
    const { highlights, unsupported } = this.kept;
    const spans = [
      ...highlights.map(([start, end]) => ({ kind: "highlight", start, end })),
      ...unsupported.map(([start, end]) => ({ kind: "unsupported", start, end })),
    ].sort((left, right) => left.start - right.start);
    const found = [];
    let from = 0;
    for (const { kind, start, end } of spans) {
      found.push(["plain", text.slice(from, start).join("")], [kind, text.slice(start, end).join("")]);
      from = end;
    }
    return [...found, ["plain", text.slice(from).join("")]];
  }

  withCitations(text) {
    return text.split(CODE_OR_CITATION).filter(Boolean).map(part => {
      const number = /^\[(\d+)\]$/.exec(part)?.[1];
      const at = number ? this.kept.citations.findIndex(citation => citation.number === Number(number)) : -1;
      return at >= 0 ? this.cite(at, part.slice(1, -1)) : document.createTextNode(clean(part));
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
    return el("ol", { class: "sources" }, citations.map((citation, at) => el("li", {}, el("button", {
      type: "button", class: "source", "aria-haspopup": "dialog", onclick: () => openPassage(this.app, citations, at),
    }, el("span", { class: "number" }, citation.number), el("span", { class: "where" },
      words("bdi", citation.source), " ", el("span", { class: "place" }, citationPlace(this.app, citation))), words("span", citation.quote, { class: "quote" })))));
  }

  actions() {
    const t = this.app.t.bind(this.app);
    const row = el("div", { class: "actions" },
      iconButton("copy", t("copy"), () => this.copy()),
      iconButton("again", t("again"), () => this.conversation.ask(this.kept.question, this.kept.id)));
    if (this.kept.state === "interrupted") return row;
    this.thumbs = { 1: "good", "-1": "bad" };
    for (const [verdict, name] of [[1, "good"], [-1, "bad"]]) {
      this.thumbs[verdict] = iconButton(name, t(name), () => this.app.attempt(() => this.rate(verdict)));
      row.append(this.thumbs[verdict]);
    }
    this.why = el("form", { class: "why", hidden: true, onsubmit: event => this.sendReason(event) },
      el("input", { "aria-label": t("reason"), placeholder: t("reason"), maxlength: 1000, autocomplete: "off" }),
      el("button", { type: "submit", class: "plain" }, t("send")));
    this.showVerdict();
    return [row, this.why];
  }

  showVerdict() {
    for (const verdict of [1, -1]) this.thumbs[verdict].setAttribute("aria-pressed", String(this.kept.verdict === verdict));
  }

  async rate(verdict) {
    this.kept.verdict = this.kept.verdict === verdict ? 0 : verdict;
    await this.app.call("rate", { turn_id: this.kept.id, verdict: this.kept.verdict, reason: this.kept.reason });
    this.showVerdict();
    this.why.hidden = this.kept.verdict === 0;
    const field = this.why.querySelector("input");
    field.value = this.kept.reason;
    if (!this.why.hidden) field.focus();
  }

  async sendReason(event) {
    event.preventDefault();
    this.kept.reason = this.why.querySelector("input").value;
    await this.app.attempt(async () => {
      await this.app.call("rate", { turn_id: this.kept.id, verdict: this.kept.verdict, reason: this.kept.reason });
      this.why.hidden = true;
      this.thumbs[this.kept.verdict].focus();
      this.app.notify(this.app.t("thanks"));
    });
  }

  async copy() {
    const cited = this.kept.citations.map(citation => `[${citation.number}] ${citation.source}, ${citationPlace(this.app, citation)}: “${citation.quote}”`);
    const noted = this.stretches().map(([kind, text]) => (kind === "unsupported" ? `${text} ${this.app.t("unsupported")}` : text));
    await copyText(clean([noted.join(""), ...cited].join("\n")));
    this.app.notify(this.app.t("copied"));
  }
}
