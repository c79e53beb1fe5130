// The documents of the collection: added, filtered, replaced and removed through the HTTP API.

import { askFor, el, iconButton, put, words } from "./dom.js";

const POLL_MS = 400;
const USABLE = new Set(["ready", "partial"]);

export class Documents {
  constructor(app) {
    this.app = app;
    this.queue = Promise.resolve(); // one file at a time, so each shows its own progress
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
      ondragleave: () => this.drop.classList.remove("over"), ondrop: event => this.receiveDrop(event),
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
      if (error.status === 404) return []; // the collection is created with its first document
      this.count.textContent = "";
      this.shown.replaceChildren(); // the list may be of another collection
      throw error;
    }
  }

  list() {
    const t = this.app.t.bind(this.app);
    const why = listed => this.explain(listed).join("; ");
    const wanted = this.find.value.trim().toLowerCase();
    const matching = (this.found ?? []).filter(listed => listed.source.toLowerCase().includes(wanted));
    this.count.textContent = t("count", { n: matching.length });
    this.shown.replaceChildren(...matching.map(listed => el("li", {},
      el("div", { class: "about" }, words("span", listed.source, { class: "name" }),
        el("span", { class: "extent" }, [listed.pages ? t("pages", { n: listed.pages }) : "", t("passages_n", { n: listed.chunks })].filter(Boolean).join(" · ")),
        why(listed) ? words("span", why(listed), { class: "notes" }) : null),
      this.outcome(listed.status),
      iconButton("delete", `${t("delete")}: ${listed.source}`, () => this.app.attempt(() => this.remove(listed))))));
    if (!matching.length) this.shown.append(el("li", { class: "none" }, t(wanted ? "none_found" : "no_documents")));
  }

  // What to do, in the page's language, before the server's notes, which are in English.
  explain({ status, notes }) {
    return [this.app.t(`remedy_${status}`), ...notes].filter(Boolean);
  }

  outcome(status) {
    return el("span", { class: `outcome ${USABLE.has(status) ? status : "failed"}` }, this.app.t(`status_${status}`));
  }

  async remove(listed) {
    const t = this.app.t.bind(this.app);
    const hint = t(listed.uploaded ? "delete_document" : "delete_document_folder", { name: listed.source });
    if (!await askFor({ title: t("delete"), hint, yes: t("delete"), no: t("cancel"), danger: true })) return;
    const address = `/api/sources/${encodeURIComponent(listed.source)}?collection=${encodeURIComponent(this.app.collection)}`;
    await this.app.attempt(() => this.app.fetch(address, { method: "DELETE" }));
    await this.reload();
  }

  async reload() {
    await this.app.loadCollections();
    await this.load();
  }

  async receiveDrop(event) {
    event.preventDefault();
    this.drop.classList.remove("over");
    const entries = [...event.dataTransfer.items].map(item => item.webkitGetAsEntry?.()).filter(Boolean);
    this.add(entries.length ? (await Promise.all(entries.map(filesOf))).flat() : [...event.dataTransfer.files]);
  }

  add(files) {
    for (const file of files.filter(file => !file.name.startsWith("."))) {
      const upload = new Upload(this, file, this.app.collection);
      this.adding.append(upload.root);
      this.queue = this.queue.then(() => upload.send({}));
    }
  }
}

// A file being uploaded, and its result.
class Upload {
  constructor(list, file, collection) {
    this.list = list;
    this.app = list.app;
    this.file = file;
    this.collection = collection;
    this.bar = el("progress", { max: 1, value: 0, "aria-label": file.name });
    this.message = el("span", { class: "result" }, this.app.t("queued"));
    this.root = el("li", {}, words("span", file.name, { class: "name" }), this.bar, this.message);
  }

  async send({ replace = false, password = null }) {
    try {
      this.finish(await this.waitFor(await this.post(replace, password)));
    } catch (error) {
      this.end(error.message || this.app.t("not_sent"), "failed");
    }
    await this.app.attempt(() => this.list.reload());
  }

  post(replace, password) {
    const form = new FormData();
    form.append("files", this.file, this.file.name);
    form.append("collection", this.collection);
    form.append("replace", String(replace));
    if (password) form.append("password", password);
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.upload.onprogress = event => this.showProgress("sending", event.loaded / event.total);
      request.onload = () => {
        if (request.status < 300) return resolve(JSON.parse(request.responseText));
        if (request.status === 401) return this.app.unreachable().then(reject);
        return reject(new Error(errorMessage(request.responseText) ?? this.app.t("not_sent")));
      };
      request.onerror = () => reject(new Error(this.app.t("error_offline")));
      request.open("POST", "/api/sources");
      request.send(form);
    });
  }

  // Waits until the file is processed, and returns its result.
  async waitFor(job) {
    while (!["done", "failed"].includes(job.state)) {
      this.showProgress(job.state === "waiting" ? "queued" : "reading_file", null);
      await new Promise(resolve => setTimeout(resolve, POLL_MS));
      job = await this.jobState(job);
    }
    if (job.error) throw new Error(job.error);
    return job.files[0];
  }

  async jobState(job) {
    try {
      return await (await this.app.fetch(`/api/ingest/${job.id}`)).json();
    } catch (error) {
      throw error.status === 404 ? new Error(this.app.t("lost")) : error;
    }
  }

  showProgress(what, part) {
    if (part === null) this.bar.removeAttribute("value");
    else this.bar.value = part;
    this.message.textContent = this.app.t(what, { percent: Math.round((part ?? 0) * 100) });
  }

  finish(result) {
    const t = this.app.t.bind(this.app);
    if (!result) return this.end(t("not_sent"), "failed");
    const nameTaken = result.status === "refused" && this.list.found?.some(listed => listed.source === result.source && listed.uploaded);
    this.end([t(`status_${result.status}`), ...this.list.explain(result)].join(" · "), USABLE.has(result.status) ? result.status : "failed");
    if (nameTaken) this.offer(t("replace"), () => ({ replace: true }));
    if (result.status === "needs_password") {
      this.offer(t("try_password"), async () => {
        const title = t("password_for", { name: this.file.name });
        const password = await askFor({ title, field: t("password"), type: "password", yes: t("ok"), no: t("cancel"), longest: 1000 });
        return password && { password, replace: true };
      });
    }
  }

  end(message, outcome) {
    this.bar.remove();
    this.message.className = `result ${outcome}`;
    this.message.textContent = message;
  }

  offer(label, chooseOptions) {
    const button = el("button", { type: "button", class: "plain", onclick: async () => {
      const options = await chooseOptions();
      if (!options) return;
      button.remove();
      put(this.root, this.bar);
      this.send(options);
    } }, label);
    put(this.root, button);
  }
}

// The message of an error of the API; null if something else answered.
function errorMessage(body) {
  try {
    return JSON.parse(body).error.message;
  } catch {
    return null;
  }
}

// The files in a dropped folder and in its subfolders.
async function filesOf(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const entries = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)); // at most a hundred at a time
    if (!entries.length) return found;
    found.push(...(await Promise.all(entries.map(filesOf))).flat());
  }
}
