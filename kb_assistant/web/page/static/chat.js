// The conversation: asking, showing the answer as it is written, stopping it.

import { el, put } from "./dom.js";
import { Turn } from "./turn.js";

const SILENCE_MS = 15_000;

export class Conversation {
  constructor(app) {
    this.app = app;
    this.chatId = null;
    this.turns = [];
    this.running = null; // the answer in progress: {key, turn, replaced: turns that it replaces, isFirst: whether it starts the conversation}
  }

  draw() {
    const t = this.app.t.bind(this.app);
    this.log = el("div", { class: "log", tabindex: "0", role: "region", "aria-label": t("tab_chat") });
    this.box = el("textarea", {
      id: "kb-question", rows: 1, maxlength: this.app.longest, placeholder: t("question"), "aria-label": t("question"),
      oninput: () => this.fit(), onkeydown: event => this.key(event),
    });
    this.send = el("button", { type: "submit", class: "primary" }, t("ask"));
    this.stopButton = el("button", { type: "button", class: "stop", hidden: true, onclick: () => this.stop() }, t("stop"));
    const form = el("form", { class: "composer", onsubmit: event => { event.preventDefault(); this.ask(this.box.value); } },
      this.box, this.send, this.stopButton);
    this.leaves = el("p", { class: "leaves" });
    this.showLeaves();
    return [this.log, this.leaves, form];
  }

  // Says where questions are sent, if they leave the machine.
  showLeaves() {
    const host = this.app.sendsTo;
    this.leaves.hidden = !host;
    this.leaves.textContent = host ? this.app.t("leaves", { host }) : "";
  }

  // Shows the conversation when the page opens or is redrawn.
  begin() {
    if (!this.turns.length) return this.welcome();
    this.turns.forEach(turn => turn.draw());
    this.log.replaceChildren(...this.turns.map(turn => turn.root));
    return this.setBusy(Boolean(this.running));
  }

  startNew() {
    this.leave();
    this.app.show("chat");
    this.box.focus();
    this.app.attempt(() => this.app.chats.mark(null));
    return this.welcome();
  }

  async welcome() {
    this.chatId = null;
    this.turns = [];
    const t = this.app.t.bind(this.app);
    const welcome = el("div", { class: "welcome" }, el("h2", {}, t("hello")));
    this.log.replaceChildren(welcome);
    if (!this.app.documentCounts?.[this.app.collection]) {
      put(welcome, el("p", {}, t("hello_empty")),
        el("button", { type: "button", class: "primary", onclick: () => this.app.show("documents") }, t("add_documents")));
      return;
    }
    put(welcome, el("p", {}, t("hello_hint")));
    const found = await this.app.attempt(() => this.app.call("suggestions", { collection: this.app.collection }));
    if (found?.length && welcome.isConnected) {
      put(welcome, el("ul", { class: "suggested", "aria-label": t("suggested") }, found.map(question =>
        el("li", {}, el("button", { type: "button", dir: "auto", onclick: () => this.ask(question) }, question)))));
    }
  }

  async open(chatId) {
    this.leave();
    await this.load(chatId);
    this.app.show("chat");
    this.log.scrollTop = this.log.scrollHeight;
    this.box.focus();
  }

  async load(chatId) {
    const chat = await this.app.call("open_chat", { chat_id: chatId });
    if (chat.collection !== this.app.collection) await this.app.setCollection(chat.collection);
    this.chatId = chatId;
    this.turns = chat.turns.map(turn => new Turn(this.app, this, turn));
    this.log.replaceChildren(...this.turns.map(turn => turn.root));
    await this.app.chats.mark(chatId);
  }

  // An answer is written only while its conversation is open.
  leave() {
    if (this.running) this.stop();
    this.done();
  }

  ask(question, insteadOf = null) {
    if (!question.trim() || this.running) return;
    const from = insteadOf === null ? this.turns.length : this.turns.findIndex(turn => turn.kept.id === insteadOf);
    const replaced = this.turns.splice(from);
    replaced.forEach(old => old.root.remove());
    if (!this.turns.length) this.log.replaceChildren();
    const key = `${Date.now()}-${Math.random().toString(36).slice(2)}`;
    const turn = new Turn(this.app, this, { question: question.trim(), state: "asked", text: "", citations: [], highlights: [], unsupported: [] });
    this.turns.push(turn);
    this.log.append(turn.root);
    this.running = { key, turn, replaced, isFirst: this.chatId === null };
    this.box.value = "";
    this.fit();
    this.setBusy(true);
    this.log.scrollTop = this.log.scrollHeight;
    this.app.gradio.trigger("submit", {
      key, question, chat_id: this.chatId, instead_of: insteadOf, collection: this.app.collection,
    });
    this.lastNews = Date.now();
    this.watchForSilence(key);
  }

  // News comes every second while an answer is written; without any, the server has gone.
  async watchForSilence(key) {
    while (this.running?.key === key && Date.now() - this.lastNews < SILENCE_MS) await new Promise(later => setTimeout(later, 1000));
    if (this.running?.key !== key) return;
    const { turn, replaced } = this.running;
    this.done();
    this.fail(turn, replaced, (await this.app.unreachable()).message);
  }

  fail(turn, replaced, message) {
    if (replaced.length) {
      this.restore(turn, replaced);
      this.app.notify(message);
      return;
    }
    turn.fail(message);
    this.box.value = turn.kept.question;
    this.fit();
  }

  // Puts the replaced turns back: no new answer took their place.
  restore(turn, replaced) {
    if (this.turns.at(-1) !== turn) return; // another conversation is open now
    replaced.forEach(old => old.draw()); // the language may have changed
    this.turns.splice(-1, 1, ...replaced);
    turn.root.replaceWith(...replaced.map(old => old.root));
  }

  // Shows what the server sends about an answer, more each time.
  receive(state) {
    if (!state || state.key !== this.running?.key) return;
    this.lastNews = Date.now();
    const { turn, replaced, isFirst } = this.running;
    const atBottom = this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 80;
    if (state.chat_id && !this.chatId) {
      this.chatId = state.chat_id;
      this.app.attempt(() => this.app.chats.mark(state.chat_id));
    }
    if (state.phase === "failed") {
      this.done();
      if (isFirst || state.error === "no_chat") this.chatId = null; // it was not kept
      this.app.attempt(() => this.app.chats.mark(this.chatId));
      this.fail(turn, replaced, this.app.errorText(state));
    } else if (state.phase === "done") {
      this.done();
      if (state.turn.id === replaced[0]?.kept.id) this.restore(turn, replaced);
      else turn.finish(state.turn);
      this.app.announce(this.app.t("finished"));
    } else {
      turn.progress(state);
    }
    if (atBottom) this.log.scrollTop = this.log.scrollHeight;
  }

  stop() {
    if (this.running) this.app.attempt(() => this.app.call("stop_answer", { key: this.running.key }));
  }

  done() {
    this.running = null;
    this.setBusy(false);
  }

  setBusy(busy) {
    const focused = this.send === document.activeElement || this.stopButton === document.activeElement;
    this.send.hidden = busy;
    this.stopButton.hidden = !busy;
    if (focused) (busy ? this.stopButton : this.box).focus();
  }

  key(event) {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return; // in an input method, Enter ends the word
    event.preventDefault();
    this.ask(this.box.value);
  }

  fit() {
    this.box.style.height = "auto";
    this.box.style.height = `${Math.min(this.box.scrollHeight + 2, 200)}px`;
  }
}
