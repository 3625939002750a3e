// What of a document was injected for a question: a strip of its chunks, and the tree of one of them.
import { call, documentPath } from "./api.js";
import { at, h } from "./dom.js";
import { count, counted } from "./words.js";

let shown = { key: null, turn: null, chunk: null, word: "page" };
let told = { page: () => {}, chosen: () => {} };

/** Begin: `page(number)` goes to a page, `chosen(chunk)` tells which tree is shown. */
export function start(listeners) {
  told = listeners;
  at("strip").addEventListener("keydown", move);
}

const body = (turn) => (turn
  ? { question: turn.question, documents: turn.documents, ...(turn.style && { style: turn.style }) } : {});

/** Show the strip of a document for a turn, or for none; `chunk` is the tree that is opened. */
export async function show(about, turn, chunk = null) {
  const same = shown.key === about.key && shown.turn === turn && at("strip").children.length;
  shown = { key: about.key, turn, chunk, word: about.page_word || "page" };
  const mine = shown;
  if (!same || about.unread_chunks) {
    let view;
    try {
      view = await call(documentPath(about.key, "/tree"), { method: "POST", body: body(turn) });
    } catch (problem) {
      at("branches-said").textContent = problem.message;
      return at("strip").replaceChildren();
    }
    if (mine !== shown) return undefined;
    draw(view);
  }
  if (mine.chunk !== null) await open(mine.chunk); // another one may have been clicked meanwhile
  else at("tree").replaceChildren();
  return undefined;
}

/** Forget what is drawn: it is fetched again when it is shown. */
export function forget() {
  shown = { ...shown, key: null };
  at("strip").replaceChildren();
  at("tree").replaceChildren();
  at("branches-said").textContent = "";
}

function draw({ chunks, question }) {
  const taken = chunks.filter((one) => one.selected);
  const rows = taken.reduce((sum, one) => sum + one.rows, 0);
  at("branches-said").textContent = question
    ? `${counted(rows, "row")} of ${count(taken.length)} of ${counted(chunks.length, "chunk")} injected`
    : counted(chunks.length, "chunk");
  const held = at("strip").contains(document.activeElement) ? Number(document.activeElement.dataset.chunk) : null;
  const focus = held ?? chunks.find((one) => one.selected)?.index ?? 0;
  at("strip").replaceChildren(...chunks.map((one) => h("button", {
    type: "button", class: `chunk ${state(one)}`, tabindex: one.index === focus ? 0 : -1, data: { chunk: String(one.index) },
    "aria-label": described(one), title: described(one), style: { "--share": share(one) },
    on: { click: () => { open(one.index); told.chosen(one.index); told.page(one.start_page); } },
  })));
  if (held !== null) at("strip").querySelector(`[data-chunk="${held}"]`)?.focus({ preventScroll: true });
}

const state = (one) => {
  const grains = Object.keys(one.grains).map(Number);
  if (!one.selected) return one.read ? "read" : "unread";
  return grains.includes(finest(grains)) && finest(grains) === 1 ? "taken" : grains.length > 1 ? "taken" : "coarse";
};
const finest = (grains) => Math.min(...grains);

/** How much of a chunk is injected, for its height: a share of its tokens. */
function share(one) {
  const tokens = Object.entries(one.grains).length ? Math.min(1, one.rows / Math.max(1, one.tokens)) : 1;
  return String(one.selected ? Math.max(0.25, tokens) : 0.25);
}

function where(one) {
  const { word } = shown;
  return one.start_page === one.end_page ? `${word} ${one.start_page}` : `${word}s ${one.start_page} to ${one.end_page}`;
}

function described(one) {
  const grains = Object.entries(one.grains).map(([grain, nodes]) => `${counted(nodes, "node")} at grain ${grain}`);
  const chosen = grains.length ? `, injected: ${grains.join(", ")}, ${counted(one.rows, "row")}` : "";
  return `Chunk ${one.index + 1}, ${where(one)}${chosen}${one.read ? "" : ", not read yet"}`;
}

function move(event) {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  const cells = [...at("strip").children];
  const from = cells.indexOf(document.activeElement);
  if (!step || from < 0) return;
  event.preventDefault();
  const to = cells[from + step];
  if (!to) return;
  cells[from].tabIndex = -1;
  to.tabIndex = 0;
  to.focus();
}

/** The tree of a chunk: a line for each level, a cell for each node, as wide as its tokens. */
async function open(chunk) {
  const mine = shown;
  mine.chunk = chunk;
  for (const cell of at("strip").children) cell.toggleAttribute("aria-current", Number(cell.dataset.chunk) === chunk);
  let view;
  try {
    view = await call(documentPath(shown.key, `/tree/${chunk}`), { method: "POST", body: body(shown.turn) });
  } catch (problem) {
    return at("tree").replaceChildren(h("p", { class: "failed" }, problem.message));
  }
  if (mine !== shown && shown.key !== mine.key) return undefined;
  const levels = new Map();
  for (const node of view.nodes) levels.set(node.level, [...(levels.get(node.level) ?? []), node]);
  at("tree").replaceChildren(
    h("p", { class: "faint" }, `${described(view)}${view.section ? `, “${view.section}”` : ""}`),
    ...[...levels].map(([level, nodes]) => h("ol", { class: "level", "aria-label": `Level ${level}` }, nodes.map(drawNode))));
  return undefined;
}

const STATES = { taken: "injected", coarse: "injected, coarser", left: "left out", "": "" };

function drawNode(node) {
  const tokens = node.end_token - node.start_token;
  const injected = node.state === "taken" || node.state === "coarse";
  const facts = [
    counted(tokens, "token"), node.grain ? `grain ${node.grain}, ${counted(node.rows, "row")}` : "never injected at this level",
    node.grain ? STATES[node.state] : "", node.score === null ? "" : `score ${node.score.toFixed(2)}`].filter(Boolean);
  return h("li", {
    class: `node ${node.grain ? node.state : ""}`, style: { "flex-grow": String(tokens) },
    title: `${facts.join(", ")}: ${node.text}`,
  },
  h("span", { class: "hidden" }, facts.join(", ")),
  h("span", { class: "facts", "aria-hidden": "true" }, injected ? counted(node.rows, "row") : `${tokens} tok.`),
  h("span", { class: "snippet" }, node.text));
}
