// The documents of the collection: added, searched, replaced and removed through the HTTP API.

import { askFor, el, iconButton, put, words } from "./dom.js";

const POLL_MS = 400;
const SOUND = new Set(["ready", "partial"]);

export class Documents {
  constructor(app) {
    this.app = app;
    this.queue = Promise.resolve(); // one file after the other, so that each has its own progress
  }

  draw() {
    const t = this.app.t.bind(this.app);
    const pick = folder => el("input", {
      type: "file", multiple: true, webkitdirectory: folder, class: "away", tabindex: "-1", "aria-hidden": "true",
      onchange: event => { this.add([...event.target.files]); event.target.value = ""; },
    });
    const [files, folder] = [pick(false), pick(true)];
    this.drop = el("div", {
      class: "drop", ondragover: event => { event.preventDefault(); this.drop.classList.add("over"); },
      ondragleave: () => this.drop.classList.remove("over"), ondrop: event => this.dropped(event),
    }, el("p", {}, t("drop")), el("div", { class: "row" },
      el("button", { type: "button", class: "primary", onclick: () => files.click() }, t("choose")),
      el("button", { type: "button", class: "plain", onclick: () => folder.click() }, t("choose_folder"))), files, folder);
    this.adding = el("ul", { class: "adding", "aria-label": t("uploads"), "aria-live": "polite" });
    this.find = el("input", { type: "search", "aria-label": t("find"), placeholder: t("find"), oninput: () => this.list() });
    this.count = el("p", { class: "hint" });
    this.shown = el("ul", { class: "documents-list", "aria-label": t("documents") });
    return [el("h2", {}, t("documents")), this.drop, this.adding, el("div", { class: "row" }, this.find, this.count), this.shown];
  }

  async load() {
    const collection = this.app.collection;
    const found = await this.fetchList(collection);
    if (collection !== this.app.collection) return;
    this.found = found;
    this.list();
  }

  async fetchList(collection) {
    try {
      return await (await this.app.fetch(`/api/sources?collection=${encodeURIComponent(collection)}`)).json();
    } catch (error) {
      if (error.status === 404) return []; // its first document makes the collection
      this.count.textContent = "";
      this.shown.replaceChildren(); // it may be another collection's
      throw error;
    }
  }

  list() {
    const t = this.app.t.bind(this.app);
    const why = one => this.why(one).join("; ");
    const wanted = this.find.value.trim().toLowerCase();
    const fitting = (this.found ?? []).filter(one => one.source.toLowerCase().includes(wanted));
    this.count.textContent = t("count", { n: fitting.length });
    this.shown.replaceChildren(...fitting.map(one => el("li", {},
      el("div", { class: "about" }, words("span", one.source, { class: "name" }),
        el("span", { class: "extent" }, [one.pages ? t("pages", { n: one.pages }) : "", t("passages_n", { n: one.chunks })].filter(Boolean).join(" · ")),
        why(one) ? words("span", why(one), { class: "notes" }) : null),
      this.outcome(one.status),
      iconButton("delete", `${t("delete")}: ${one.source}`, () => this.app.tried(() => this.remove(one))))));
    if (!fitting.length) this.shown.append(el("li", { class: "none" }, t(wanted ? "none_found" : "no_documents")));
  }

  // The server's notes are in English; in other languages, what to do stands before them.
  why({ status, notes }) {
    return [this.app.t(`remedy_${status}`), ...notes].filter(Boolean);
  }

  outcome(status) {
    return el("span", { class: `outcome ${SOUND.has(status) ? status : "failed"}` }, this.app.t(`status_${status}`));
  }

  async remove(one) {
    const t = this.app.t.bind(this.app);
    const hint = t(one.uploaded ? "delete_document" : "delete_document_folder", { name: one.source });
    if (!await askFor({ title: t("delete"), hint, yes: t("delete"), no: t("cancel"), danger: true })) return;
    const address = `/api/sources/${encodeURIComponent(one.source)}?collection=${encodeURIComponent(this.app.collection)}`;
    await this.app.tried(() => this.app.fetch(address, { method: "DELETE" }));
    await this.changed();
  }

  async changed() {
    await this.app.loadCollections();
    await this.load();
  }

  async dropped(event) {
    event.preventDefault();
    this.drop.classList.remove("over");
    const entries = [...event.dataTransfer.items].map(item => item.webkitGetAsEntry?.()).filter(Boolean);
    this.add(entries.length ? (await Promise.all(entries.map(filesOf))).flat() : [...event.dataTransfer.files]);
  }

  add(files) {
    for (const file of files.filter(one => !one.name.startsWith("."))) {
      const line = new Line(this, file, this.app.collection);
      this.adding.append(line.root);
      this.queue = this.queue.then(() => line.send({}));
    }
  }
}

// A file on its way, and what became of it.
class Line {
  constructor(room, file, collection) {
    this.room = room;
    this.app = room.app;
    this.file = file;
    this.collection = collection;
    this.bar = el("progress", { max: 1, value: 0, "aria-label": file.name });
    this.said = el("span", { class: "said" }, this.app.t("queued"));
    this.root = el("li", {}, words("span", file.name, { class: "name" }), this.bar, this.said);
  }

  async send({ replace = false, password = null }) {
    try {
      this.settle(await this.read(await this.post(replace, password)));
    } catch (error) {
      this.ended(error.message || this.app.t("not_sent"), "failed");
    }
    await this.app.tried(() => this.room.changed());
  }

  post(replace, password) {
    const form = new FormData();
    form.append("files", this.file, this.file.name);
    form.append("collection", this.collection);
    form.append("replace", String(replace));
    if (password) form.append("password", password);
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.upload.onprogress = event => this.progress("sending", event.loaded / event.total);
      request.onload = () => {
        if (request.status < 300) return resolve(JSON.parse(request.responseText));
        if (request.status === 401) return this.app.unreachable().then(reject);
        return reject(new Error(told(request.responseText) ?? this.app.t("not_sent")));
      };
      request.onerror = () => reject(new Error(this.app.t("error_offline")));
      request.open("POST", "/api/sources");
      request.send(form);
    });
  }

  // Waits until the file is read; gives what became of it.
  async read(job) {
    while (!["done", "failed"].includes(job.state)) {
      this.progress(job.state === "waiting" ? "queued" : "reading_file", null);
      await new Promise(resolve => setTimeout(resolve, POLL_MS));
      job = await this.progressOf(job);
    }
    if (job.error) throw new Error(job.error);
    return job.files[0];
  }

  async progressOf(job) {
    try {
      return await (await this.app.fetch(`/api/ingest/${job.id}`)).json();
    } catch (error) {
      throw error.status === 404 ? new Error(this.app.t("lost")) : error;
    }
  }

  progress(what, part) {
    if (part === null) this.bar.removeAttribute("value");
    else this.bar.value = part;
    this.said.textContent = this.app.t(what, { percent: Math.round((part ?? 0) * 100) });
  }

  settle(became) {
    const t = this.app.t.bind(this.app);
    if (!became) return this.ended(t("not_sent"), "failed");
    const taken = became.status === "refused" && this.room.found?.some(one => one.source === became.source && one.uploaded);
    this.ended([t(`status_${became.status}`), ...this.room.why(became)].join(" · "), SOUND.has(became.status) ? became.status : "failed");
    if (taken) this.offer(t("replace"), () => ({ replace: true }));
    if (became.status === "needs_password") {
      this.offer(t("try_password"), async () => {
        const title = t("password_for", { name: this.file.name });
        const password = await askFor({ title, field: t("password"), type: "password", yes: t("ok"), no: t("cancel"), longest: 1000 });
        return password && { password, replace: true };
      });
    }
  }

  ended(message, outcome) {
    this.bar.remove();
    this.said.className = `said ${outcome}`;
    this.said.textContent = message;
  }

  offer(label, how) {
    const button = el("button", { type: "button", class: "plain", onclick: async () => {
      const options = await how();
      if (!options) return;
      button.remove();
      put(this.root, this.bar);
      this.send(options);
    } }, label);
    put(this.root, button);
  }
}

// What the API says of an error; null where it is not the API that answers.
function told(body) {
  try {
    return JSON.parse(body).error.message;
  } catch {
    return null;
  }
}

// The files of a folder that was dropped, and of those in it.
async function filesOf(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)); // a hundred at a time
    if (!some.length) return found;
    found.push(...(await Promise.all(some.map(filesOf))).flat());
  }
}
