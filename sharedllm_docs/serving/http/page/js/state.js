// What is shown, and the same as the fragment of the address: reloading and a shared link bring the view back.
//
// The fragment is deflated JSON. Browsers do not send it to servers, so no log holds questions or answers. It holds
// where citations stand, not what they say: their words are fetched from the documents again, so a link cannot put
// words into a document. The answers are the link's; a conversation of another browser is marked as such.

const ROOM = 60_000; // characters of an address that browsers and mail programs still take

export const state = {
  id: newId(),
  index: "",
  chosen: null, // keys of the documents that are asked; null: all
  style: "",
  turns: [],
  view: null, // {key, page, turn, citation, branches, chunk}
  pane: "questions", // which part is shown where there is room for one only
};

export function newId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(6)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const short = (citation) => [
  citation.document_key, citation.char_start, citation.char_end, Math.round(citation.score * 1000) / 1000, citation.chunk,
];

function long([document_key, char_start, char_end, score, chunk]) {
  return {
    document_key: String(document_key), char_start: Number(char_start), char_end: Number(char_end),
    score: Number(score), chunk: Number(chunk), boxes: [], quote: "", place: "", document: "",
  };
}

function packed(turn) {
  const answer = turn.answer;
  const told = { q: turn.question, d: turn.documents, s: turn.style };
  if (!answer) return told;
  return {
    ...told, t: answer.text, f: answer.found, c: answer.confidence, k: answer.counts, m: answer.timings,
    i: answer.citations.map(short), n: answer.nearest.map(short), e: answer.marks ?? [],
  };
}

function unpacked(told) {
  const turn = {
    question: String(told.q ?? ""), documents: Array.isArray(told.d) ? told.d.map(String) : null,
    style: String(told.s ?? ""), text: String(told.t ?? ""), answer: null, sources: [],
  };
  if (told.t === undefined) return { ...turn, problem: { message: "This question was not answered yet." } };
  turn.answer = {
    question: turn.question, text: turn.text, found: Boolean(told.f), confidence: told.c ?? null, counts: told.k ?? {},
    timings: told.m ?? {}, citations: (told.i ?? []).map(long), nearest: (told.n ?? []).map(long), placed: false,
  };
  turn.answer.marks = marksOf(told.e, turn.answer);
  return turn;
}

/** Marks that a link names, as far as they stand in its answer and for its citations. */
function marksOf(told, { text, citations }) {
  const letters = Array.from(text);
  return (Array.isArray(told) ? told : []).filter(([, , number]) => citations[number - 1])
    .filter(([start, end, number]) => letters.slice(start, end).join("") === `[${number}]`);
}

async function through(transform, bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(transform);
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function encoded(value) {
  const bytes = await through(new CompressionStream("deflate-raw"), new TextEncoder().encode(JSON.stringify(value)));
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

async function decoded(text) {
  const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(await through(new DecompressionStream("deflate-raw"), bytes)));
}

/** What is shown now, as it goes into the address. */
const shown = () => ({
  v: 1, id: state.id, x: state.index, p: state.pane, d: state.chosen, s: state.style, t: state.turns.map(packed), w: state.view,
});

/** The fragment of what was shown; the oldest turns are left out where it would be too long. */
async function fragment(told) {
  for (;;) {
    const text = await encoded(told);
    if (text.length < ROOM || !told.t.length) return text;
    told.t.shift();
    if (told.w && told.w.turn !== null) told.w.turn = told.w.turn > 0 ? told.w.turn - 1 : null;
  }
}

/** Take over what a fragment says; false where it says nothing that can be read. */
export async function restore(text) {
  if (!text) return false;
  let told;
  try { told = await decoded(text); } catch { return false; }
  if (told?.v !== 1) return false;
  state.id = String(told.id);
  state.index = String(told.x ?? "");
  state.chosen = Array.isArray(told.d) ? told.d.map(String) : null;
  state.style = String(told.s ?? "");
  state.pane = ["documents", "source"].includes(told.p) ? told.p : "questions";
  state.turns = (told.t ?? []).map(unpacked);
  state.view = told.w ? {
    key: String(told.w.key), page: Number(told.w.page) || 1,
    turn: Number.isInteger(told.w.turn) && state.turns[told.w.turn] ? told.w.turn : null,
    citation: Number.isInteger(told.w.citation) ? told.w.citation : null,
    branches: Boolean(told.w.branches), chunk: Number.isInteger(told.w.chunk) ? told.w.chunk : null,
  } : null;
  return true;
}

/** Whether this browser made the conversation; if not, it was opened from a link. */
export function own(id) {
  try { return (localStorage.getItem("conversations") || "").split(" ").includes(id); } catch { return true; }
}

/** Remember that this browser made the conversation. */
export function claim(id) {
  try {
    const known = (localStorage.getItem("conversations") || "").split(" ").filter((one) => one && one !== id);
    localStorage.setItem("conversations", [...known.slice(-199), id].join(" "));
  } catch { /* storage may be switched off */ }
}

let writing = Promise.resolve();
let written = "";

/** Write the state into the address; `step` makes the browser's Back button return to what was shown before. */
export function save(step = false) {
  const told = structuredClone(shown()); // as it is now: what is written waits for what was written before
  writing = writing.then(async () => {
    const text = await fragment(told);
    if (text === written) return;
    written = text;
    history[step ? "pushState" : "replaceState"](null, "", `#${text}`);
  });
  return writing;
}
