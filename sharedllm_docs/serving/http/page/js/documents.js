// The documents: adding files with their progress, the list, which of them are asked.
import { call, documentPath, upload } from "./api.js";
import { askLine, at, confirmed, h, say } from "./dom.js";
import { save, state } from "./state.js";
import { counted, count, bytes, duration, sentence } from "./words.js";

const BUSY = 1000; // milliseconds between two looks while something is read
const IDLE = 5000;
let known = [];
let sending = []; // files of this tab: {file, name, share, id, problem}
let allowed = { writable: true, bytes: Infinity, types: [] };
let told = { open: () => {}, changed: () => {} };
let timer = null;
let begun = null;
const ready = new Promise((resolve) => { begun = resolve; });

export const documents = () => known;
export const documentOf = (key) => known.find((one) => one.key === key);

/** Take files from now on: `open(key)` shows a document, `changed()` is called when the list differs. */
export function listen(listeners) {
  told = listeners;
  at("choose").addEventListener("click", () => at("files").click());
  at("files").addEventListener("change", () => { add(at("files").files); at("files").value = ""; });
  at("all").addEventListener("click", () => choose(null));
  dropping();
}

/** Begin, once it is known which index is used. */
export async function start() {
  document.addEventListener("visibilitychange", () => document.hidden || look());
  allowed = await call("/limits");
  at("drop").hidden = !allowed.writable;
  at("files").accept = allowed.types.join(",");
  at("limits-said").textContent =
    `${counted(allowed.types.length, "kind")} of files, at most ${bytes(allowed.bytes)} and ${counted(allowed.pages, "page")}`;
  at("endings").textContent = allowed.types.join(" ");
  await look();
  begun();
}

function dropping() {
  const body = document.body;
  const files = (event) => event.dataTransfer?.types.includes("Files");
  body.addEventListener("dragover", (event) => {
    if (!files(event)) return;
    event.preventDefault();
    body.classList.add("dropping");
  });
  body.addEventListener("dragleave", (event) => event.relatedTarget ?? body.classList.remove("dropping"));
  body.addEventListener("drop", (event) => {
    if (!files(event)) return;
    event.preventDefault();
    body.classList.remove("dropping");
    add(event.dataTransfer.files);
  });
}

/** Send files, one after the other; the server reads them one after the other too. */
export async function add(files) {
  const entries = [...files].map((file) => ({ file, name: file.name, share: 0, id: null, problem: null }));
  sending.push(...entries);
  draw();
  await ready;
  for (const entry of entries) await send(entry);
}

async function send(entry, password = null) {
  Object.assign(entry, { share: 0, id: null, problem: null, tried: Boolean(password) });
  if (entry.file.size > allowed.bytes) {
    entry.problem = { type: "DocumentTooLargeError", message:
      `${entry.name} has ${bytes(entry.file.size)}; this server takes ${bytes(allowed.bytes)} at most. Split it.` };
    return draw();
  }
  try {
    const begun = await upload(entry.file, password, (share) => { entry.share = share; draw(); });
    entry.id = begun.id;
  } catch (problem) {
    entry.problem = problem;
    return draw();
  }
  await look();
  return undefined;
}

/** Ask for the password of an encrypted file and send it again. */
async function unlock(entry) {
  const wrong = entry.tried ? "Wrong password. " : "";
  const password = await askLine({
    title: "The file is encrypted",
    text: `${wrong}${entry.name} needs a password. It is used to read the file and not kept.`,
    label: "Password", password: true, action: "Read it",
  });
  if (password) await send(entry, password);
}

/** Ask the server how everything is, now and again as long as the page is open. */
export async function look() {
  clearTimeout(timer);
  let busy = false;
  const sent = new Set(sending.map((entry) => entry.id)); // what came later may not be in the answer yet
  try {
    const now = await call("/documents", { quiet: true });
    busy = merge(now, sent);
  } catch { busy = true; /* told by api.js; we look again */ }
  draw();
  timer = setTimeout(look, document.hidden ? 6 * IDLE : busy ? BUSY : IDLE);
}

let uploads = [];

function merge(now, sent) {
  const before = new Set(known.map((one) => one.key));
  const same = known.length === now.documents.length && now.documents.every((one) => before.has(one.key));
  known = now.documents;
  uploads = now.uploads;
  for (const entry of sending) if (sent.has(entry.id)) settle(entry);
  sending = sending.filter((entry) => !entry.done);
  if (state.chosen) {
    const left = state.chosen.filter((key) => documentOf(key));
    if (left.length !== state.chosen.length) choose(left.length ? left : null);
  }
  if (!same) told.changed();
  return sending.some((entry) => !entry.problem) || known.some((one) => one.unread_chunks)
    || uploads.some((one) => one.state === "waiting" || one.state === "reading");
}

/** What the server says of a file of this tab. */
function settle(entry) {
  if (!entry.id || entry.problem) return;
  const found = uploads.find((one) => one.id === entry.id);
  if (!found) {
    entry.problem = { type: "Lost", message:
      `The server was restarted before ${entry.name} was read. Upload it again.` };
  } else if (found.state === "failed") {
    entry.problem = found.error ?? { type: "Cancelled", message: `The upload of ${entry.name} was cancelled.` };
    call(`/uploads/${entry.id}`, { method: "DELETE" }).catch(() => {});
    if (entry.problem.type === "EncryptedDocumentError") unlock(entry);
  } else if (found.state === "done") {
    entry.done = true;
    const twice = found.new ? "" : " It was there already.";
    say(`${entry.name} is ready for questions.${found.replaced ? " It replaces the earlier version." : twice}`);
  }
}

/** Ask only these documents; null asks all. */
function choose(keys) {
  state.chosen = keys && keys.length && keys.length < known.length ? keys : null;
  save();
  draw();
}

function toggle(key) {
  const now = new Set(state.chosen ?? known.map((one) => one.key));
  if (now.has(key)) now.delete(key);
  else now.add(key);
  choose([...now]);
}

async function remove(one) {
  const sure = await confirmed({
    title: `Delete ${one.name}?`, action: "Delete",
    text: "It is removed from the index with everything that is stored for it. Links to it will no longer work.",
  });
  if (!sure) return;
  try {
    await call(documentPath(one.key), { method: "DELETE" });
    say(`${one.name} was deleted.`);
  } catch (problem) {
    say(problem.message);
  }
  await look();
}

// -- drawing ---------------------------------------------------------------------------------------------------------

const STAGES = { read: "reading", tokenize: "preparing", embed: "preparing the search", encode: "encoding", commit: "storing" };

function draw() {
  const mine = new Set(sending.map((entry) => entry.id).filter(Boolean));
  const others = uploads.filter((one) => !mine.has(one.id) && (one.state === "waiting" || one.state === "reading"));
  replace(at("uploads"), [...sending.map(drawSending), ...others.map((one) => drawUpload(one))]);
  replace(at("list"), known.map(drawDocument));
  at("scope").hidden = known.length < 2;
  at("all").hidden = !state.chosen;
  at("scope-text").textContent = state.chosen
    ? `${count(state.chosen.length)} of ${count(known.length)} documents are searched.` : "All documents are searched.";
}

/** New children, but only where they differ: else focus and open details would be lost at every look. */
function replace(place, children) {
  children.forEach((child, at) => {
    const old = place.children[at];
    if (!old) place.append(child);
    else if (old.outerHTML !== child.outerHTML) exchange(old, child);
  });
  while (place.children.length > children.length) place.lastElementChild.remove();
}

function exchange(old, child) {
  const focused = old.contains(document.activeElement) ? document.activeElement.dataset.act : null;
  const open = old.querySelector("details")?.open;
  old.replaceWith(child);
  if (open) child.querySelector("details")?.setAttribute("open", "");
  if (focused) child.querySelector(`[data-act="${focused}"]`)?.focus();
}

function drawSending(entry) {
  if (entry.problem) return drawProblem(entry);
  const found = uploads.find((one) => one.id === entry.id);
  if (found) return drawUpload(found, entry);
  return h("li", {}, h("span", { class: "name" }, entry.name),
    bar(entry.share, entry.share ? `uploading, ${Math.round(entry.share * 100)} %` : "waits to be sent"));
}

/** What the same file will meet again. */
const HOPELESS = new Set(["DocumentTooLargeError", "EmptyDocumentError", "UnknownFormatError"]);

function drawProblem(entry) {
  const locked = entry.problem.type === "EncryptedDocumentError";
  const again = !HOPELESS.has(entry.problem.type);
  return h("li", { class: "failed" }, h("p", {}, sentence(entry.problem, entry.name)),
    h("div", { class: "row" },
      again && h("button", { type: "button", data: { act: "again" }, on: { click: () => (locked ? unlock(entry) : send(entry)) } },
        locked ? "Enter the password" : "Try again"),
      h("button", { type: "button", data: { act: "away" }, on: { click: () => dismiss(entry) } }, "Dismiss")));
}

function dismiss(entry) {
  sending = sending.filter((one) => one !== entry);
  draw();
}

function drawUpload(one) {
  const left = one.seconds_left ? `, about ${duration(one.seconds_left)} left` : "";
  const stage = STAGES[one.stage] ?? "reading";
  const amount = one.total && one.unit === "pages" ? ` ${count(one.done)} of ${counted(one.total, "page")}` : "";
  const text = one.state === "waiting" ? "waits for the file before it" : `${stage}${amount}${left}`;
  return h("li", {}, h("span", { class: "name" }, one.name), bar(one.total ? one.done / one.total : 0, text),
    h("button", {
      type: "button", class: "small", data: { act: "stop" },
      on: { click: () => call(`/uploads/${one.id}`, { method: "DELETE" }).catch(() => {}).then(look) },
    }, "Cancel"));
}

function bar(share, text) {
  return h("div", { class: "progress" },
    h("progress", { max: 1, value: share.toFixed(3), "aria-label": text }), h("span", { class: "faint" }, text));
}

function drawDocument(one) {
  const asked = !state.chosen || state.chosen.includes(one.key);
  const word = one.page_word || "page";
  const left = one.seconds_left ? `, about ${duration(one.seconds_left)} left` : "";
  return h("li", {},
    h("div", { class: "row" },
      known.length > 1 && h("input", {
        type: "checkbox", data: { act: "ask" }, checked: asked, "aria-label": `Ask ${one.name}`,
        on: { change: () => toggle(one.key) },
      }),
      h("button", { type: "button", class: "link name", data: { act: "open" }, title: one.title || one.name,
        on: { click: () => told.open(one.key) } }, one.name),
      allowed.writable && h("button", {
        type: "button", class: "small", data: { act: "delete" }, "aria-label": `Delete ${one.name}`,
        on: { click: () => remove(one) },
      }, "×")),
    one.unread_chunks
      ? bar(one.pages_read / Math.max(1, one.pages),
        `read ${count(one.pages_read)} of ${counted(one.pages, word)}${left}; ready for questions`)
      : h("p", { class: "faint" }, `${one.page_word ? `${counted(one.pages, word)}, ` : ""}${bytes(one.bytes)}`),
    one.issues.length > 0 && h("details", {},
      h("summary", { class: "faint" }, counted(one.issues.length, "note")),
      h("ul", {}, one.issues.slice(0, 50).map((issue) =>
        h("li", {}, (issue.page ? `Page ${issue.page}: ` : "") + issue.message)))));
}
