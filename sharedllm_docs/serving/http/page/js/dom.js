// Elements and text. Whatever comes from documents reaches the page as text nodes, never as markup.

/**
 * An element.
 * @param {string} tag its name
 * @param {object} props attributes; `class`, `data` (dataset), `on` (listeners by event), `style` (properties)
 * @param {...(Node|string|null)} children strings become text nodes
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") for (const [event, does] of Object.entries(value)) element.addEventListener(event, does);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name === "style") for (const [rule, said] of Object.entries(value)) element.style.setProperty(rule, said);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** The element of an id. */
export const at = (id) => document.getElementById(id);

/** Say something in passing, also to screen readers. */
export function say(text) {
  const place = at("said");
  place.textContent = text;
  place.classList.add("shown");
  clearTimeout(say.timer);
  say.timer = setTimeout(() => place.classList.remove("shown"), 5000);
}

/**
 * Ask for one line in a dialog; null when it was closed without an answer.
 * @param {{title: string, text: string, label: string, password?: boolean, action: string}} about
 */
export function askLine({ title, text, label, password = false, action }) {
  const field = h("input", { type: password ? "password" : "text", id: "dialog-line", autocomplete: "off" });
  return opened(title, text, action, [h("label", { for: "dialog-line" }, label), field], () => field.value || null);
}

/** Ask whether to go on. */
export function confirmed({ title, text, action }) {
  return opened(title, text, action, [], () => true).then(Boolean);
}

let queue = Promise.resolve();

/** Dialogs come one after the other. */
function opened(title, text, action, fields, result) {
  const shown = () => new Promise((resolve) => {
    const dialog = at("dialog");
    let answer = null;
    const form = h("form", { method: "dialog" },
      h("h2", { id: "dialog-title" }, title), h("p", {}, text), ...fields,
      h("div", { class: "row" }, h("span", { class: "grow" }),
        h("button", { type: "button", on: { click: () => dialog.close() } }, "Cancel"),
        h("button", { type: "submit", class: "main" }, action)));
    form.addEventListener("submit", () => { answer = result(); });
    dialog.replaceChildren(form);
    dialog.addEventListener("close", () => { dialog.replaceChildren(); resolve(answer); }, { once: true });
    dialog.showModal();
  });
  queue = queue.then(shown, shown);
  return queue;
}
