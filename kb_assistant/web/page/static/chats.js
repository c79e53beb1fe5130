// The list of conversations: open, rename, export, delete.

import { askFor, download, el, icon, iconButton } from "./dom.js";

export class ChatList {
  constructor(app) {
    this.app = app;
    this.current = null;
  }

  draw() {
    const t = this.app.t.bind(this.app);
    this.list = el("ul", {});
    return [
      el("button", { type: "button", class: "new", onclick: () => this.app.chat.startNew() }, icon("plus"), t("new_chat")),
      this.list,
    ];
  }

  async refresh() {
    this.show(await this.app.call("chats"));
  }

  show(chats) {
    const t = this.app.t.bind(this.app);
    this.list.replaceChildren(...chats.map(chat => el("li", {},
      el("button", {
        type: "button", class: "chat", dir: "auto", onclick: () => this.app.attempt(() => this.app.chat.open(chat.id)),
        "aria-current": chat.id === this.current ? "true" : null,
      }, chat.title),
      el("span", { class: "tools" },
        iconButton("rename", `${t("rename")}: ${chat.title}`, () => this.app.attempt(() => this.rename(chat))),
        iconButton("export", `${t("export")}: ${chat.title}`, () => this.app.attempt(() => this.export(chat))),
        iconButton("delete", `${t("delete")}: ${chat.title}`, () => this.app.attempt(() => this.delete(chat)))))));
    if (!chats.length) this.list.append(el("li", { class: "none" }, t("no_chats")));
  }

  async mark(chatId) {
    this.current = chatId;
    await this.refresh();
  }

  async rename(chat) {
    const t = this.app.t.bind(this.app);
    const title = await askFor({ title: t("rename"), field: t("rename_to"), value: chat.title, yes: t("save"), no: t("cancel") });
    if (!title?.trim()) return;
    await this.app.call("rename_chat", { chat_id: chat.id, title });
    await this.refresh();
  }

  async export(chat) {
    const name = chat.title.replace(/[^\p{L}\p{N} -]/gu, "").trim() || "chat";
    download(`${name}.md`, "text/markdown", await this.app.call("export_chat", { chat_id: chat.id }));
  }

  async delete(chat) {
    const t = this.app.t.bind(this.app);
    const confirmed = await askFor({ title: t("delete"), hint: t("delete_chat", { name: chat.title }), yes: t("delete"), no: t("cancel"), danger: true });
    if (!confirmed) return;
    await this.app.call("delete_chat", { chat_id: chat.id });
    if (chat.id === this.app.chat.chatId) this.app.chat.startNew();
    await this.refresh();
  }
}
