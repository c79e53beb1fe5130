// The settings: answers on the server, language and theme in this browser.

import { download, el, words } from "./dom.js";

const LANGUAGES = { "": "language_auto", zh: "中文", en: "English" };
const THEMES = { "": "theme_auto", light: "theme_light", dark: "theme_dark" };

export class Settings {
  constructor(app) {
    this.app = app;
  }

  draw() {
    const t = this.app.t.bind(this.app);
    this.answers = el("div", {});
    this.machine = el("dl", {});
    return [
      el("h2", {}, t("settings")),
      el("section", { "aria-label": t("answer_settings") }, el("h3", {}, t("answer_settings")), this.answers),
      el("section", { "aria-label": t("page_settings") }, el("h3", {}, t("page_settings")),
        this.storedChoice("kb-language", "language", LANGUAGES), this.storedChoice("kb-theme", "theme", THEMES),
        this.app.user ? el("p", {}, t("user", { user: this.app.user }), " ", el("a", { href: "/logout" }, t("logout"))) : null),
      el("section", { "aria-label": t("feedback") }, el("h3", {}, t("feedback")), el("p", { class: "hint" }, t("feedback_hint")),
        el("button", { type: "button", class: "plain", onclick: () => this.app.attempt(() => this.export()) }, t("feedback_export"))),
      el("section", { "aria-label": t("machine") }, el("h3", {}, t("machine")), this.machine),
    ];
  }

  async load() {
    this.show(await this.app.call("settings"));
    const found = await this.app.call("machine");
    this.machine.replaceChildren(...found.flatMap(finding =>
      [el("dt", {}, this.app.t(`check_${finding.check}`)), words("dd", this.findingText(finding), { class: finding.ok ? "" : "failure" })]));
  }

  // The server's findings are in English; the most important has a sentence in the page's language.
  findingText({ check, ok, detail }) {
    const stays = ok && check === "privacy" && this.app.t("stays");
    if (!stays) return detail;
    return this.app.sendsTo ? this.app.t("leaves", { host: this.app.sendsTo }) : stays;
  }

  storedChoice(key, label, options) {
    const t = this.app.t.bind(this.app);
    const select = choice(Object.entries(options).map(([value, words]) => [value, t(words)]), localStorage.getItem(key) ?? "");
    select.addEventListener("change", async () => {
      localStorage.setItem(key, select.value);
      const redrawn = this.app.attempt(() => this.app.redraw());
      document.getElementById(`kb-set-${label}`).focus();
      await redrawn;
    });
    return field(label, t(label), select);
  }

  show(settings) {
    const t = this.app.t.bind(this.app);
    const { values, bounds } = settings;
    this.app.sendsTo = settings.sends_to;
    this.app.chat.showLeaves();
    const engine = choice(settings.engines.map(name => [name, t(`engine_${name}`)]), values.engine);
    const models = [...new Set(["", ...settings.models, values.model])];
    const model = choice(models.map(name => [name, name || t("no_model")]), values.model);
    const length = number(values.max_new_tokens, bounds.max_new_tokens);
    const passages = number(values.passages, bounds.passages);
    const most = Math.max(1, values.temperature); // kb.toml can set more than 1
    const temperature = number(values.temperature, { ...bounds.temperature, most }, "any");
    const temperatureField = field("temperature", t("temperature"), temperature, t("temperature_hint"));
    const prompt = el("textarea", { rows: 3, maxlength: 4000 });
    prompt.value = values.system_prompt;
    const promptField = field("system_prompt", t("system_prompt"), prompt, t("system_prompt_hint"));
    const showModelFields = () => { temperatureField.hidden = promptField.hidden = (engine.value === "auto" ? settings.answers_with : engine.value) === "extractive"; };
    engine.addEventListener("change", showModelFields);
    showModelFields();
    const form = el("form", { onsubmit: event => { event.preventDefault(); this.app.attempt(() => this.save({
      engine: engine.value, model: model.value, max_new_tokens: length.valueAsNumber, passages: passages.valueAsNumber,
      temperature: temperature.valueAsNumber, system_prompt: prompt.value.trim(),
    })); } },
    el("p", { class: "hint" }, t("answers_with", { engine: t(`engine_${settings.answers_with}`) })),
    settings.writable ? null : el("p", { class: "hint" }, t("read_only")),
    el("fieldset", { disabled: !settings.writable },
      field("engine", t("engine"), engine, t("engine_hint")),
      field("model", t("model"), model, t("model_hint")),
      field("max_new_tokens", t("max_new_tokens"), length, t("max_new_tokens_hint")),
      field("passages", t("n_passages"), passages),
      temperatureField,
      promptField,
      el("button", { type: "submit", class: "primary" }, t("save"))));
    this.answers.replaceChildren(form);
  }

  async save(values) {
    this.show(await this.app.call("change_settings", values));
    this.app.notify(this.app.t("saved"));
  }

  async export() {
    const lines = await this.app.call("export_feedback");
    if (lines) download("feedback.jsonl", "application/jsonl", lines);
    else this.app.notify(this.app.t("feedback_none"));
  }
}

function field(name, label, input, hint = "") {
  input.id = `kb-set-${name}`;
  if (hint) input.setAttribute("aria-describedby", `kb-hint-${name}`);
  return el("div", { class: "field" }, el("label", { for: input.id }, label), input,
    hint ? el("p", { class: "hint", id: `kb-hint-${name}` }, hint) : null);
}

function choice(options, value) {
  const select = el("select", {}, options.map(([key, shown]) => el("option", { value: key }, shown)));
  select.value = value;
  return select;
}

function number(value, { least, most }, step = 1) {
  const input = el("input", { type: "number", min: least, max: most, step, required: true });
  input.value = value;
  return input;
}
