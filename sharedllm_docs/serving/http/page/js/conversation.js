// Questions and answers: asking, streaming, citations and what stands under an answer.
import { call, documentPath, events } from "./api.js";
import { at, h, say } from "./dom.js";
import { documentOf, documents } from "./documents.js";
import { answerText, citationText, copy } from "./exporting.js";
import { claim, own, save, state } from "./state.js";
import { bytes, count, milliseconds, sureness } from "./words.js";

const TURNS = 6; // earlier turns that are sent along
const ROOM = 4000; // characters of them
let told = { cite: () => {}, branches: () => {} };
let asking = null; // the AbortController of the question that is being answered

/** Begin: `cite(turn, citation)` shows a citation, `branches(turn)` what was injected. */
export function start(listeners) {
  told = listeners;
  at("ask").addEventListener("submit", (event) => { event.preventDefault(); submit(); });
  at("question").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); submit(); }
  });
  at("stop").addEventListener("click", () => asking?.abort());
  at("style").addEventListener("change", () => { state.style = at("style").value; save(); });
}

/** The citations that a turn shows: those of its answer, or the nearest passages. */
export function shown(turn) {
  if (turn.answer) return turn.answer.found ? turn.answer.citations : turn.answer.nearest;
  return turn.style === "full" ? [] : turn.sources ?? []; // a full answer numbers its own
}

async function submit() {
  const question = at("question").value.trim();
  if (!question || asking) return;
  if (!documents().length) return say("There is no document yet: add one first.");
  at("question").value = "";
  const turn = { question, documents: state.chosen, style: state.style, text: "", answer: null, sources: [] };
  state.turns.push(turn);
  claim(state.id);
  draw();
  save();
  await answer(turn);
  return undefined;
}

/** The turns before one, as messages, the latest that fit. */
function earlier(turn) {
  const before = state.turns.slice(0, state.turns.indexOf(turn)).filter((one) => one.answer).slice(-TURNS);
  const messages = before.flatMap((one) =>
    [{ role: "user", content: one.question }, { role: "assistant", content: one.answer.text }]);
  while (messages.reduce((sum, one) => sum + one.content.length, 0) > ROOM) messages.splice(0, 2);
  return messages;
}

async function answer(turn) {
  asking = new AbortController();
  Object.assign(turn, { problem: null, text: "", sources: [], answer: null });
  busy(true);
  redraw(turn);
  const body = { question: turn.question, documents: turn.documents, conversation: earlier(turn), stream: true };
  if (turn.style) body.style = turn.style;
  try {
    for await (const [name, data] of events("/ask", { body, signal: asking.signal })) {
      if (name === "sources") turn.sources = data.citations;
      else if (name === "piece") turn.text += data.text;
      else if (name === "error") turn.problem = data.error;
      else if (name === "answer") Object.assign(turn, { answer: { ...data, placed: true }, text: data.text });
      if (turn.answer || turn.problem) break; // nothing comes after these
      if (name === "piece") turn.said.textContent = turn.text;
      else redraw(turn);
    }
    if (!turn.answer && !turn.problem) turn.problem = { message: "The connection was lost before the answer was complete." };
  } catch (problem) {
    turn.problem = problem.name === "AbortError" ? { message: "Stopped." } : problem;
  }
  asking = null;
  busy(false);
  redraw(turn);
  await save();
}

function busy(now) {
  at("send").disabled = now;
  at("stop").hidden = !now;
  at("turns").setAttribute("aria-busy", String(now));
}

/** Fetch what the citations of a restored conversation say and where they stand. */
export async function place() {
  const open = state.turns.filter((turn) => turn.answer && !turn.answer.placed);
  for (const turn of open) {
    for (const one of [...turn.answer.citations, ...turn.answer.nearest]) {
      try {
        const query = { start: one.char_start, end: one.char_end };
        Object.assign(one, await call(documentPath(one.document_key, "/place"), { query }));
      } catch (problem) {
        Object.assign(one, { gone: true, place: "", document: "a document that is no longer in the index", quote: problem.message });
      }
    }
    turn.answer.placed = true;
    redraw(turn);
  }
}

// -- drawing ---------------------------------------------------------------------------------------------------------

/** Draw the whole conversation, and scroll to its end unless told otherwise. */
export function draw(scroll = true) {
  at("style").value = state.style;
  const foreign = state.turns.length > 0 && !own(state.id);
  at("turns").replaceChildren(
    ...(foreign ? [h("p", { class: "note" },
      "This conversation was opened from a link: its answers come from the link, its quotes from the documents.")] : []),
    ...(state.turns.length ? [] : [h("p", { class: "empty" }, welcome())]),
    ...state.turns.map(drawTurn));
  if (scroll) at("turns").lastElementChild?.scrollIntoView({ block: "nearest" });
}

const welcome = () => (documents().length
  ? "Ask something. Answers come from your documents, with the places where you can find them."
  : "Add a file to begin. You can ask about it within seconds; the rest is read in the background.");

function redraw(turn) {
  const old = turn.drawn;
  const now = drawTurn(turn);
  if (old?.isConnected) {
    const focused = old.contains(document.activeElement) ? document.activeElement.dataset.act : null;
    old.replaceWith(now);
    if (focused) now.querySelector(`[data-act="${focused}"]`)?.focus();
  }
  now.scrollIntoView({ block: "nearest" });
}

function drawTurn(turn) {
  const { answer: done } = turn;
  turn.said = h("p", { class: done && !done.found ? "answer unsaid" : "answer" }, drawText(turn));
  const waiting = !done && !turn.problem;
  turn.drawn = h("article", { class: waiting ? "turn waiting" : "turn" },
    h("h2", {}, turn.question),
    turn.said,
    turn.problem && drawProblem(turn),
    done && drawSureness(done),
    drawCitations(turn),
    done && drawTools(turn));
  return turn.drawn;
}

/** The answer with its marks, each of which shows its citation. */
function drawText(turn) {
  const marks = turn.answer?.marks ?? [];
  if (!marks.length) return turn.text;
  const letters = Array.from(turn.text); // marks count whole characters, of which some are two in a string
  const parts = [];
  let done = 0;
  for (const [start, end, number] of marks) {
    parts.push(letters.slice(done, start).join(""), h("button", {
      type: "button", class: "mark-of", data: { act: `mark-${start}` }, "aria-label": `Citation ${number}`,
      on: { click: () => told.cite(turn, number - 1) },
    }, letters.slice(start, end).join("")));
    done = end;
  }
  return [...parts, letters.slice(done).join("")];
}

function drawProblem(turn) {
  return h("div", { class: "failed" }, h("p", {}, turn.problem.message),
    h("button", { type: "button", data: { act: "again" }, on: { click: () => asking || answer(turn) } }, "Ask again"));
}

function drawSureness({ found, confidence }) {
  if (confidence === null || confidence === undefined) return null;
  const text = found ? `Confidence ${confidence.toFixed(2)}, ${sureness(confidence)}`
    : `Confidence that the documents say it: ${confidence.toFixed(2)}`;
  return h("p", { class: "sure faint" },
    h("meter", { min: 0, max: 1, low: 0.5, high: 0.8, optimum: 1, value: confidence.toFixed(3), "aria-label": text }), text);
}

function drawCitations(turn) {
  const citations = shown(turn);
  if (!citations.length) return null;
  const number = state.turns.indexOf(turn);
  const nearest = turn.answer && !turn.answer.found;
  const alike = turn.answer?.alike ?? [];
  return h("div", {}, nearest && h("p", { class: "faint" }, "Nearest passages (not used for an answer):"),
    alike.length > 0 && h("p", { class: "faint alike" },
      `From ${turn.answer.documents.join(", ")}. The question fits these as well: ${alike.join(", ")}.`),
    h("ol", { class: "citations" }, citations.map((one, at) => h("li", { data: { colour: String(at % 6) } },
      h("button", {
        type: "button", class: "citation", data: { act: `cite-${at}` }, disabled: one.gone,
        "aria-current": state.view?.turn === number && state.view?.citation === at ? "true" : null,
        on: { click: () => told.cite(turn, at) },
      },
      h("span", { class: "number" }, String(at + 1)),
      h("span", { class: "quote" }, one.quote || "…"),
      h("span", { class: "place" }, [one.document || documentOf(one.document_key)?.name, one.place, printed(one),
        one.place?.includes(one.section) ? "" : one.section]
        .filter(Boolean).join(" · "))),
      h("button", {
        type: "button", class: "small", data: { act: `copy-${at}` }, "aria-label": `Copy citation ${at + 1}`,
        on: { click: () => copy(citationText(one), "The citation was copied.") },
      }, "Copy")))));
}

/** The number that is printed on the page, where it is another one. */
const printed = (one) => (one.page_label && one.page_label !== String(one.page) ? `printed ${one.page_label}` : "");

function drawTools(turn) {
  const { answer: done } = turn;
  const { counts = {}, timings = {} } = done;
  const facts = [
    ["rows injected per layer", count(counts.rows ?? 0)], ["nodes", count(counts.nodes ?? 0)],
    ["read from disk", bytes(counts.bytes_read ?? 0)],
    ["chunks searched", count(counts.chunks ?? 0)], ["chunks read for it", count(counts.chunks_encoded ?? 0)],
    ["question tokens", count(counts.question_tokens ?? 0)], ["answer tokens", count(counts.answer_tokens ?? 0)],
    ["choosing", milliseconds(timings.select ?? 0)], ["loading", milliseconds(timings.load ?? 0)],
    ["first word after", milliseconds(timings.first_token ?? 0)], ["in all", milliseconds(timings.total ?? 0)],
  ];
  return h("div", { class: "row tools" },
    h("button", { type: "button", class: "small", data: { act: "copy" },
      on: { click: () => copy(answerText(done), "The answer was copied with its citations.") } }, "Copy with citations"),
    h("button", { type: "button", class: "small", data: { act: "branches" }, on: { click: () => told.branches(turn) } },
      "Branches"),
    h("details", {},
      h("summary", { class: "faint" },
        `${count(counts.rows ?? 0)} rows · ${bytes(counts.bytes_read ?? 0)} · ${milliseconds(timings.total ?? 0)}`),
      done.draft && h("p", { class: "faint" }, `What the model wrote, not sure enough to be given as the answer: ${done.draft}`),
      h("dl", {}, facts.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]))));
}
