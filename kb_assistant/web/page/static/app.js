// The page's frame: tabs, collection, language and look, and the way to the server.

import { ChatRoom } from "./chat.js";
import { ChatList } from "./chats.js";
import { Documents } from "./documents.js";
import { askFor, el, iconButton } from "./dom.js";
import { Settings } from "./settings.js";

const TABS = ["chat", "documents", "settings"];

class App {
  constructor(gradio, words) {
    this.gradio = gradio;
    this.allWords = words;
    this.root = gradio.element.querySelector("#kb");
    this.collection = "";
    this.held = {}; // how many documents each collection has
  }

  t(key, values = {}) {
    const said = this.words[key] ?? key;
    return said.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
  }

  // What a call gives; an error is thrown as a sentence to be shown.
  async call(name, asked = {}) {
    let given;
    try {
      given = await this.gradio.server[name](asked);
    } catch {
      given = undefined;
    }
    if (given === undefined) throw await this.unreachable(); // Gradio's own way to say that it failed
    if (given && given.error) throw new Error(this.failure(given));
    return given;
  }

  // Why the server does not answer; one whose session has ended is sent to the login.
  async unreachable() {
    const answer = await fetch("/page/words.json", { cache: "no-store" }).catch(() => null);
    if (answer?.status === 401) location.assign("/login");
    return new Error(this.t("error_offline"));
  }

  // The HTTP API's answer; any but a good one is thrown, with its status.
  async fetch(address, options = {}) {
    const answer = await fetch(address, options).catch(() => null);
    if (answer?.ok) return answer;
    if (!answer || answer.status === 401) throw await this.unreachable();
    const said = { 404: "error_no_document", 409: "error_busy" }[answer.status] ?? "error_unavailable";
    throw Object.assign(new Error(this.t(said)), { status: answer.status });
  }

  failure(given) {
    return given.error === "usage" ? given.detail : this.t(`error_${given.error}`);
  }

  tell(message) {
    this.status.textContent = "";
    this.toast.textContent = message;
    this.toast.classList.toggle("shown", Boolean(message));
    clearTimeout(this.toastTimer);
    this.toastTimer = setTimeout(() => this.toast.classList.remove("shown"), 6000);
  }

  say(message) { // for screen readers
    this.status.textContent = message;
  }

  async tried(action) {
    try {
      return await action();
    } catch (error) {
      this.tell(error.message);
      return undefined;
    }
  }

  setLanguage() {
    const chosen = localStorage.getItem("kb-language") ?? "";
    const asked = chosen || navigator.language || "en";
    this.language = asked.toLowerCase().startsWith("zh") ? "zh" : "en";
    this.words = this.allWords[this.language];
    document.documentElement.lang = this.language === "zh" ? "zh-CN" : "en";
  }

  setTheme() {
    const chosen = localStorage.getItem("kb-theme") ?? "";
    this.root.dataset.theme = chosen || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    document.body.classList.toggle("dark", this.root.dataset.theme === "dark");
    document.documentElement.style.colorScheme = this.root.dataset.theme;
  }

  async start() {
    this.root.setAttribute("aria-busy", "true");
    this.setLanguage();
    this.setTheme();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.setTheme());
    this.status = el("div", { role: "status", class: "away" });
    this.toast = el("div", { role: "alert", class: "toast" });
    const begun = await this.call("begin");
    this.user = begun.user;
    this.longest = begun.longest;
    this.sendsTo = begun.sends_to;
    this.collection = this.home = begun.collection;
    this.chat = new ChatRoom(this);
    this.chats = new ChatList(this);
    this.documents = new Documents(this);
    this.settings = new Settings(this);
    this.gradio.watch("value", () => this.chat.arrived(this.gradio.props.value));
    this.draw();
    await this.tried(() => this.loadCollections());
    const last = localStorage.getItem("kb-collection") ?? ""; // it may be another home's, served at this address before
    if (Object.hasOwn(this.held, last)) this.picker.value = this.collection = last;
    this.chats.show(begun.chats);
    await this.chat.begin();
    this.root.setAttribute("aria-busy", "false");
  }

  // Draws all of it anew, in whatever language is set now.
  draw() {
    this.tabs = Object.fromEntries(TABS.map(name => [name, el("button", {
      type: "button", role: "tab", id: `kb-tab-${name}`, "aria-controls": `kb-${name}`,
      onclick: () => this.show(name), onkeydown: event => this.step(event, name),
    }, this.t(`tab_${name}`))]));
    this.picker = el("select", { "aria-label": this.t("collection"), onchange: () => this.tried(() => this.pick()) });
    this.menu = iconButton("menu", this.t("menu"), () => this.toggleMenu(), { class: "icon menu", "aria-expanded": "false", "aria-controls": "kb-chats" });
    this.rooms = Object.fromEntries(TABS.map(name => [name, el("section", {
      id: `kb-${name}`, role: "tabpanel", "aria-labelledby": `kb-tab-${name}`, class: `room ${name}`,
    }, this[name].draw())]));
    this.side = el("nav", { id: "kb-chats", "aria-label": this.t("chats") }, this.chats.draw());
    this.shade = el("div", { class: "shade", onclick: () => this.toggleMenu(false) });
    this.root.replaceChildren(
      el("a", { class: "skip", href: "#kb-question", onclick: () => this.show("chat") }, this.t("skip")),
      el("header", {}, this.menu, el("h1", {}, this.t("title")),
        el("div", { role: "tablist", "aria-label": this.t("tabs") }, Object.values(this.tabs)), this.picker),
      el("div", { class: "body" }, this.side, this.shade, el("div", { class: "rooms" }, Object.values(this.rooms))),
      this.status, this.toast);
    this.root.onkeydown = event => { if (event.key === "Escape") this.toggleMenu(false); };
    this.show(this.shown ?? "chat");
  }

  async redraw() {
    this.setLanguage();
    this.setTheme();
    this.draw();
    await this.loadCollections();
    this.chats.show(await this.call("chats"));
    await this.chat.begin();
  }

  show(name) {
    this.shown = name;
    for (const one of TABS) {
      this.tabs[one].setAttribute("aria-selected", String(one === name));
      this.tabs[one].tabIndex = one === name ? 0 : -1;
      this.rooms[one].hidden = one !== name;
    }
    this.root.classList.toggle("chatting", name === "chat");
    this.toggleMenu(false);
    if (name !== "chat") this.tried(() => this[name].load());
  }

  step(event, name) {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    const next = TABS[(TABS.indexOf(name) + by + TABS.length) % TABS.length];
    this.show(next);
    this.tabs[next].focus();
  }

  toggleMenu(open = !this.root.classList.contains("open")) {
    const was = this.root.classList.contains("open");
    this.root.classList.toggle("open", open);
    this.menu.setAttribute("aria-expanded", String(open));
    if (open) this.side.querySelector("button")?.focus();
    else if (was) this.menu.focus();
  }

  async loadCollections() {
    const found = await (await this.fetch("/api/collections")).json();
    const names = [...new Set([...found.map(one => one.collection), this.home, this.collection])].sort();
    this.held = Object.fromEntries(found.map(one => [one.collection, one.sources]));
    this.picker.replaceChildren(
      ...names.map(name => el("option", { value: name }, name)), el("option", { value: "\n" }, this.t("new_collection")));
    this.picker.value = this.collection;
  }

  async pick() {
    let name = this.picker.value;
    if (name === "\n") {
      this.picker.value = this.collection;
      name = await askFor({
        title: this.t("new_collection"), hint: this.t("new_collection_hint"), field: this.t("new_collection_name"),
        yes: this.t("ok"), no: this.t("cancel"), longest: 100,
      });
      if (!name?.trim()) return;
    }
    await this.setCollection(name.trim());
    this.chat.empty();
    if (!this.held[this.collection]) this.show("documents");
    else if (this.shown === "documents") this.show("documents");
  }

  async setCollection(name) {
    this.collection = name;
    localStorage.setItem("kb-collection", name);
    await this.loadCollections();
  }
}

export async function start(element, gradio) {
  const words = await (await fetch("/page/words.json")).json();
  const app = new App({ element, ...gradio }, words);
  await app.start();
}
