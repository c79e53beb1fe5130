// Elements built from data. Text always becomes a text node, so nothing in it is markup.

const CONTROL_CHARACTERS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

// Text without characters that reverse or hide it.
export const clean = text => String(text ?? "").replace(CONTROL_CHARACTERS, "");

export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, clean(value));
  }
  put(made, ...children);
  return made;
}

// Appends children; anything but an element becomes text.
export function put(parent, ...children) {
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false) continue;
    parent.append(child instanceof Node ? child : document.createTextNode(clean(child)));
  }
  return parent;
}

// Words of a document, which may run from right to left.
export const words = (tag, text, attributes = {}) => el(tag, { dir: "auto", ...attributes }, text);

const PATHS = {
  menu: "M4 6h16M4 12h16M4 18h16",
  plus: "M12 5v14M5 12h14",
  close: "M6 6l12 12M18 6L6 18",
  copy: "M9 9h10v11H9zM5 15V4h10",
  again: "M20 11a8 8 0 1 0-2.3 6.3M20 5v6h-6",
  good: "M7 11v9H4v-9zM7 11l4-8c2 0 2.5 1.5 2 3.5L12.5 9H19c1.5 0 2 1 1.7 2.5l-1.5 7c-.3 1-1 1.5-2 1.5H7",
  bad: "M17 13V4h3v9zM17 13l-4 8c-2 0-2.5-1.5-2-3.500l.5-2.5H5c-1.5 0-2-1-1.7-2.5l1.5-7c.3-1 1-1.5 2-1.5H17",
  left: "M15 5l-7 7 7 7",
  right: "M9 5l7 7-7 7",
  rename: "M4 20h4L19 9l-4-4L4 16z",
  delete: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  export: "M12 4v11M8 11l4 4 4-4M5 20h14",
};

export function icon(name) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  made.setAttribute("viewBox", "0 0 24 24");
  made.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", PATHS[name]);
  made.append(path);
  return made;
}

// A button with an icon; its label is read by screen readers and shown as a tooltip.
export const iconButton = (name, label, onclick, attributes = {}) =>
  el("button", { type: "button", class: "icon", "aria-label": label, title: label, onclick, ...attributes }, icon(name));

export function download(name, type, text) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  el("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

export async function copyText(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = el("textarea", { class: "away" }); // without https there is no clipboard
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

// Asks in a dialog; returns the text entered, true if there is no field, or null if cancelled.
export function askFor({ title, hint, field, type = "text", value = "", yes, no, danger = false, longest = 200 }) {
  return new Promise(resolve => {
    const input = field ? el("input", { id: "kb-asked", type, maxlength: longest, autocomplete: "off", required: true }) : null;
    if (input) input.value = value;
    let answer = null;
    const form = el("form", { method: "dialog", onsubmit: () => { answer = input ? input.value : true; } },
      el("h2", { id: "kb-asked-title" }, title),
      hint ? el("p", {}, hint) : null,
      input ? [el("label", { for: "kb-asked" }, field), input] : null,
      el("div", { class: "row end" },
        el("button", { type: "button", class: "plain", onclick: () => dialog.close() }, no),
        el("button", { type: "submit", class: danger ? "danger" : "primary" }, yes)));
    const dialog = el("dialog", { class: "asking", "aria-labelledby": "kb-asked-title" }, form);
    dialog.addEventListener("close", () => { dialog.remove(); resolve(answer); });
    document.querySelector("#kb").append(dialog);
    dialog.showModal();
  });
}
