// The conversation: asking, watching the answer come, stopping it.

import { el, put } from "./dom.js";
import { Turn } from "./turn.js";

const SILENCE_MS = 15_000;

export class ChatRoom {
  constructor(app) {
    this.app = app;
    this.chatId = null;
    this.turns = [];
    this.asking = null; // the answer under way: {key, turn, former: turns it is to take the place of, began: whether it began the conversation}
  }

  draw() {
    const t = this.app.t.bind(this.app);
    this.log = el("div", { class: "log", tabindex: "0", role: "region", "aria-label": t("tab_chat") });
    this.box = el("textarea", {
      id: "kb-question", rows: 1, maxlength: this.app.longest, placeholder: t("question"), "aria-label": t("question"),
      oninput: () => this.fit(), onkeydown: event => this.key(event),
    });
    this.send = el("button", { type: "submit", class: "primary" }, t("ask"));
    this.halt = el("button", { type: "button", class: "stop", hidden: true, onclick: () => this.stop() }, t("stop"));
    const form = el("form", { class: "composer", onsubmit: event => { event.preventDefault(); this.ask(this.box.value); } },
      this.box, this.send, this.halt);
    this.leaves = el("p", { class: "leaves" });
    this.showLeaves();
    return [this.log, this.leaves, form];
  }

  // Whether what is asked leaves the machine.
  showLeaves() {
    const host = this.app.sendsTo;
    this.leaves.hidden = !host;
    this.leaves.textContent = host ? this.app.t("leaves", { host }) : "";
  }

  // What is shown when the page opens, or is drawn anew.
  begin() {
    if (!this.turns.length) return this.welcome();
    this.turns.forEach(turn => turn.draw());
    this.log.replaceChildren(...this.turns.map(turn => turn.root));
    return this.waiting(Boolean(this.asking));
  }

  empty() {
    this.leave();
    this.app.show("chat");
    this.box.focus();
    this.app.tried(() => this.app.chats.mark(null));
    return this.welcome();
  }

  async welcome() {
    this.chatId = null;
    this.turns = [];
    const t = this.app.t.bind(this.app);
    const welcome = el("div", { class: "welcome" }, el("h2", {}, t("hello")));
    this.log.replaceChildren(welcome);
    if (!this.app.held?.[this.app.collection]) {
      put(welcome, el("p", {}, t("hello_empty")),
        el("button", { type: "button", class: "primary", onclick: () => this.app.show("documents") }, t("add_documents")));
      return;
    }
    put(welcome, el("p", {}, t("hello_hint")));
    const found = await this.app.tried(() => this.app.call("suggestions", { collection: this.app.collection }));
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

  // An answer under way goes on being written only while it is looked at.
  leave() {
    if (this.asking) this.stop();
    this.done();
  }

  ask(question, insteadOf = null) {
    if (!question.trim() || this.asking) return;
    const from = insteadOf === null ? this.turns.length : this.turns.findIndex(turn => turn.kept.id === insteadOf);
    const former = this.turns.splice(from);
    former.forEach(one => one.root.remove());
    if (!this.turns.length) this.log.replaceChildren();
    const key = `${Date.now()}-${Math.random().toString(36).slice(2)}`;
    const turn = new Turn(this.app, this, { question: question.trim(), state: "asked", text: "", citations: [], highlights: [], unsupported: [] });
    this.turns.push(turn);
    this.log.append(turn.root);
    this.asking = { key, turn, former, began: this.chatId === null };
    this.box.value = "";
    this.fit();
    this.waiting(true);
    this.log.scrollTop = this.log.scrollHeight;
    this.app.gradio.trigger("submit", {
      key, question, chat_id: this.chatId, instead_of: insteadOf, collection: this.app.collection,
    });
    this.heard = Date.now();
    this.listen(key);
  }

  // Something comes every second while an answer is under way: where nothing does, the server has gone.
  async listen(key) {
    while (this.asking?.key === key && Date.now() - this.heard < SILENCE_MS) await new Promise(later => setTimeout(later, 1000));
    if (this.asking?.key !== key) return;
    const { turn, former } = this.asking;
    this.done();
    this.failed(turn, former, (await this.app.unreachable()).message);
  }

  failed(turn, former, message) {
    if (former.length) {
      this.putBack(turn, former);
      this.app.tell(message);
      return;
    }
    turn.failed(message);
    this.box.value = turn.kept.question;
    this.fit();
  }

  // There is no answer in place of the former one, which is kept, and what came after it.
  putBack(turn, former) {
    if (this.turns.at(-1) !== turn) return; // another conversation is shown
    former.forEach(one => one.draw()); // the language may be another one
    this.turns.splice(-1, 1, ...former);
    turn.root.replaceWith(...former.map(one => one.root));
  }

  // What the server tells of an answer, more each time.
  arrived(state) {
    if (!state || state.key !== this.asking?.key) return;
    this.heard = Date.now();
    const { turn, former, began } = this.asking;
    const low = this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 80;
    if (state.chat_id && !this.chatId) {
      this.chatId = state.chat_id;
      this.app.tried(() => this.app.chats.mark(state.chat_id));
    }
    if (state.phase === "failed") {
      this.done();
      if (began || state.error === "no_chat") this.chatId = null; // it is not kept
      this.app.tried(() => this.app.chats.mark(this.chatId));
      this.failed(turn, former, this.app.failure(state));
    } else if (state.phase === "done") {
      this.done();
      if (state.turn.id === former[0]?.kept.id) this.putBack(turn, former);
      else turn.finish(state.turn);
      this.app.say(this.app.t("finished"));
    } else {
      turn.progress(state);
    }
    if (low) this.log.scrollTop = this.log.scrollHeight;
  }

  stop() {
    if (this.asking) this.app.tried(() => this.app.call("stop_answer", { key: this.asking.key }));
  }

  done() {
    this.asking = null;
    this.waiting(false);
  }

  waiting(under_way) {
    const focused = this.send === document.activeElement || this.halt === document.activeElement;
    this.send.hidden = under_way;
    this.halt.hidden = !under_way;
    if (focused) (under_way ? this.halt : this.box).focus();
  }

  key(event) {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return; // Enter also ends a pinyin word
    event.preventDefault();
    this.ask(this.box.value);
  }

  fit() {
    this.box.style.height = "auto";
    this.box.style.height = `${Math.min(this.box.scrollHeight + 2, 200)}px`;
  }
}
