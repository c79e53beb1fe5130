// The frame of the page: tabs, collection, language, theme, and calls to the server.

import { Conversation } from "./chat.js";
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
    this.documentCounts = {}; // by collection
  }

  t(key, values = {}) {
    const singular = values.n === 1 ? this.words[`${key}_1`] : undefined;
    return (singular ?? this.words[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
  }

  // Calls the server; throws an error whose message can be shown.
  async call(name, request = {}) {
    let reply;
    try {
      reply = await this.gradio.server[name](request);
    } catch {
      reply = undefined;
    }
    if (reply === undefined) throw await this.unreachable(); // so Gradio reports a failed call
    if (reply?.error) throw new Error(this.errorText(reply));
    return reply;
  }

  // Finds out why the server does not answer; a user whose session has ended goes to the login form.
  async unreachable() {
    const reply = await fetch("/page/words.json", { cache: "no-store" }).catch(() => null);
    if (reply?.status === 401) location.assign("/login");
    return new Error(this.t("error_offline"));
  }

  // Calls the HTTP API; throws an error with a message and the status unless it succeeds.
  async fetch(address, options = {}) {
    const reply = await fetch(address, options).catch(() => null);
    if (reply?.ok) return reply;
    if (!reply || reply.status === 401) throw await this.unreachable();
    const key = { 404: "error_no_document", 409: "error_busy" }[reply.status] ?? "error_unavailable";
    throw Object.assign(new Error(this.t(key)), { status: reply.status });
  }

  errorText({ error, detail }) {
    return error === "usage" ? detail : this.t(`error_${error}`);
  }

  notify(message) {
    this.status.textContent = "";
    this.toast.textContent = message;
    this.toast.classList.toggle("shown", Boolean(message));
    clearTimeout(this.toastTimer);
    this.toastTimer = setTimeout(() => this.toast.classList.remove("shown"), 6000);
  }

  announce(message) { // to screen readers
    this.status.textContent = message;
  }

  async attempt(action) {
    try {
      return await action();
    } catch (error) {
      this.notify(error.message);
      return undefined;
    }
  }

  setLanguage() {
    const chosen = localStorage.getItem("kb-language") ?? "";
    const preferred = chosen || navigator.language || "en";
    this.language = preferred.toLowerCase().startsWith("zh") ? "zh" : "en";
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
    const opening = await this.call("begin");
    this.user = opening.user;
    this.longest = opening.longest;
    this.sendsTo = opening.sends_to;
    this.collection = this.defaultCollection = opening.collection;
    this.chat = new Conversation(this);
    this.chats = new ChatList(this);
    this.documents = new Documents(this);
    this.settings = new Settings(this);
    this.gradio.watch("value", () => this.chat.receive(this.gradio.props.value));
    this.draw();
    await this.attempt(() => this.loadCollections());
    const last = localStorage.getItem("kb-collection") ?? ""; // another home may have been served at this address
    if (Object.hasOwn(this.documentCounts, last)) this.picker.value = this.collection = last;
    this.chats.show(opening.chats);
    await this.chat.begin();
    this.root.setAttribute("aria-busy", "false");
  }

  // Draws the whole page in the current language.
  draw() {
    this.tabs = Object.fromEntries(TABS.map(name => [name, el("button", {
      type: "button", role: "tab", id: `kb-tab-${name}`, "aria-controls": `kb-${name}`,
      onclick: () => this.show(name), onkeydown: event => this.moveTab(event, name),
    }, this.t(`tab_${name}`))]));
    this.picker = el("select", { "aria-label": this.t("collection"), onchange: () => this.attempt(() => this.pickCollection()) });
    this.menu = iconButton("menu", this.t("chats"), () => this.toggleMenu(), { class: "icon menu", "aria-expanded": "false", "aria-controls": "kb-chats" });
    this.panels = Object.fromEntries(TABS.map(name => [name, el("section", {
      id: `kb-${name}`, role: "tabpanel", "aria-labelledby": `kb-tab-${name}`, class: `panel ${name}`,
    }, this[name].draw())]));
    this.side = el("nav", { id: "kb-chats", "aria-label": this.t("chats") }, this.chats.draw());
    this.shade = el("div", { class: "shade", onclick: () => this.toggleMenu(false) });
    this.root.replaceChildren(
      el("a", { class: "skip", href: "#kb-question", onclick: () => this.show("chat") }, this.t("skip")),
      el("header", {}, this.menu, el("h1", {}, this.t("title")),
        el("div", { role: "tablist", "aria-label": this.t("tabs") }, Object.values(this.tabs)), this.picker),
      el("div", { class: "body" }, this.side, this.shade, el("div", { class: "panels" }, Object.values(this.panels))),
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
    for (const tab of TABS) {
      this.tabs[tab].setAttribute("aria-selected", String(tab === name));
      this.tabs[tab].tabIndex = tab === name ? 0 : -1;
      this.panels[tab].hidden = tab !== name;
    }
    this.root.classList.toggle("chatting", name === "chat");
    this.toggleMenu(false);
    if (name !== "chat") this.attempt(() => this[name].load());
  }

  moveTab(event, name) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = TABS[(TABS.indexOf(name) + step + TABS.length) % TABS.length];
    this.show(next);
    this.tabs[next].focus();
  }

  toggleMenu(open = !this.root.classList.contains("open")) {
    const wasOpen = this.root.classList.contains("open");
    this.root.classList.toggle("open", open);
    this.menu.setAttribute("aria-expanded", String(open));
    if (open) this.side.querySelector("button")?.focus();
    else if (wasOpen) this.menu.focus();
  }

  async loadCollections() {
    const found = await (await this.fetch("/api/collections")).json();
    const names = [...new Set([...found.map(listed => listed.collection), this.defaultCollection, this.collection])].sort();
    this.documentCounts = Object.fromEntries(found.map(listed => [listed.collection, listed.sources]));
    this.picker.replaceChildren(
      ...names.map(name => el("option", { value: name }, name)), el("option", { value: "\n" }, this.t("new_collection")));
    this.picker.value = this.collection;
  }

  async pickCollection() {
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
    this.chat.startNew();
    if (!this.documentCounts[this.collection]) this.show("documents");
    else if (this.shown === "documents") this.show("documents");
  }

  async setCollection(name) {
    this.collection = name;
    localStorage.setItem("kb-collection", name);
    await this.loadCollections();
  }
}

// The browser's Back button may bring the page back as it was, even after logging out.
addEventListener("pageshow", event => { if (event.persisted) location.reload(); });

export async function start(element, gradio) {
  const words = await (await fetch("/page/words.json")).json();
  const app = new App({ element, ...gradio }, words);
  await app.start();
}
