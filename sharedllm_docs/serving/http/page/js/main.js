// Puts the parts together: what is clicked where, and what the address says.
import { call, onLost, useIndex } from "./api.js";
import * as branches from "./branches.js";
import * as conversation from "./conversation.js";
import * as documents from "./documents.js";
import { at, h, say } from "./dom.js";
import { copy, markdown, saveFile } from "./exporting.js";
import { newId, restore, save, state } from "./state.js";
import * as viewer from "./viewer.js";

const COLOURS = 6;

async function begin() {
  documents.listen({ open: (key) => openDocument(key), changed }); // before anything is waited for: a file may be dropped
  const found = await restore(location.hash.slice(1));
  if (location.hash.length > 1 && !found) say("The link cannot be read: it may be incomplete.");
  onLost(lost);
  buttons();
  conversation.start({ cite, branches: showBranches });
  viewer.start({ turned, closed, step });
  branches.start({ page: (number) => { view({ page: number, citation: null }); conversation.draw(false); }, chosen: (chunk) => view({ chunk }, false) });
  at("branches").addEventListener("toggle", () => {
    if (!state.view || at("branches").open === state.view.branches) return;
    state.view.branches = at("branches").open;
    showStrip();
    save();
  });
  window.addEventListener("popstate", back);
  document.addEventListener("keydown", shortcuts);
  await indexes();
  await documents.start();
  conversation.draw();
  await conversation.place();
  await showView();
  // whoever has gone somewhere by the keyboard meanwhile is left there
  if (document.activeElement === document.body && !matchMedia("(pointer: coarse)").matches) at("question").focus();
}

/** The indexes of the server: a choice only where there are several. */
async function indexes() {
  let all = [];
  while (!all.length) {
    try {
      all = await call("/indexes");
    } catch (problem) {
      if (!problem.lost) say(problem.message);
      await new Promise((resolve) => { setTimeout(resolve, 2000); });
    }
  }
  if (!all.some((one) => one.name === state.index)) state.index = all[0].name;
  useIndex(state.index);
  const choice = at("index");
  choice.replaceChildren(...all.map((one) => h("option", { value: one.name }, one.name)));
  choice.value = state.index;
  at("index-choice").hidden = all.length < 2;
  choice.addEventListener("change", async () => {
    state.index = choice.value;
    useIndex(state.index);
    state.chosen = null;
    fresh();
    await documents.look();
    conversation.draw();
  });
}

/** Back and forward, and a link that is pasted into an open tab: both come with this event. */
async function back() {
  if (state.turns.some((turn) => !turn.answer && !turn.problem)) return; // one is being answered
  if (!(await restore(location.hash.slice(1)))) return;
  useIndex(state.index);
  pane(state.pane);
  conversation.draw();
  await conversation.place();
  await showView();
}

// -- the source ------------------------------------------------------------------------------------------------------

function view(changes, show = true, leave = false) {
  state.view = { key: "", page: 1, turn: null, citation: null, branches: false, chunk: null, ...state.view, ...changes };
  save(leave);
  return show ? showView() : undefined;
}

async function cite(turn, citation) {
  const { document_key: key, page } = conversation.shown(turn)[citation];
  if (state.view?.key !== key) branches.forget();
  pane("source");
  await view({ key, page, turn: state.turns.indexOf(turn), citation, chunk: null }, true, true);
  conversation.draw(false);
  at("turns").querySelector('[aria-current="true"]')?.focus({ preventScroll: true });
}

async function openDocument(key) {
  pane("source");
  await view({ key, page: 1, turn: null, citation: null, chunk: null }, true, true);
  conversation.draw(false);
}

/** The branches of a turn: of the document that is shown, if it was asked, else of the first one cited. */
async function showBranches(turn) {
  const asked = turn.documents ?? documents.documents().map((one) => one.key);
  const cited = conversation.shown(turn).map((one) => one.document_key);
  const key = [state.view?.key, ...cited, ...asked].find((one) => one && asked.includes(one) && documents.documentOf(one));
  if (!key) return say("The documents of this answer are no longer in the index.");
  pane("source");
  await view({ key, turn: state.turns.indexOf(turn), branches: true, chunk: null }, true, true);
  return undefined;
}

/** Show what the state says. */
async function showView() {
  const now = state.view;
  if (!now) return viewer.close();
  const about = documents.documentOf(now.key);
  if (!about) {
    viewer.close();
    return say("The document of this link is no longer in the index.");
  }
  const turn = now.turn === null ? null : state.turns[now.turn];
  const marks = turn ? marksOf(turn, now.key) : [];
  const current = marks.find((mark) => mark.number === now.citation + 1 && now.citation !== null) ?? null;
  at("branches").open = now.branches;
  await Promise.all([viewer.show(about, marks, current, now.page), showStrip()]);
  return undefined;
}

function showStrip() {
  const now = state.view;
  const about = now && documents.documentOf(now.key);
  if (!about || !now.branches) return undefined;
  return branches.show(about, now.turn === null ? null : state.turns[now.turn], now.chunk);
}

function marksOf(turn, key) {
  return conversation.shown(turn).map((one, number) => ({ ...one, number: number + 1 }))
    .filter((one) => one.document_key === key && !one.gone)
    .map((one) => ({
      number: one.number, colour: (one.number - 1) % COLOURS, boxes: one.boxes, page: one.page, start: one.char_start,
      end: one.char_end, quote: one.quote, place: one.place,
    }));
}

function turned(page) {
  if (!state.view || state.view.page === page) return;
  state.view.page = page;
  clearTimeout(turned.timer);
  turned.timer = setTimeout(() => save(), 300);
}

function closed() {
  if (!state.view) return;
  state.view = null;
  branches.forget();
  save();
  if (state.pane === "source") pane("questions");
  conversation.draw(false);
}

/** The citation before or after the one that is shown. */
function step(by) {
  const now = state.view;
  if (!now || now.turn === null) return;
  const turn = state.turns[now.turn];
  const all = conversation.shown(turn);
  if (!all.length) return;
  cite(turn, ((now.citation ?? (by > 0 ? -1 : 0)) + by + all.length) % all.length);
}

// -- the frame -------------------------------------------------------------------------------------------------------

function pane(name) {
  if (state.pane !== name) { state.pane = name; save(); }
  document.body.dataset.pane = name;
  for (const button of document.querySelectorAll("nav button")) {
    button.toggleAttribute("aria-current", button.dataset.pane === name);
  }
}

function buttons() {
  for (const button of document.querySelectorAll("nav button")) {
    button.addEventListener("click", () => pane(button.dataset.pane));
  }
  pane(state.pane);
  at("theme").addEventListener("click", () => {
    const now = document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    const chosen = now === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = chosen;
    try { localStorage.setItem("theme", chosen); } catch { /* storage may be switched off */ }
  });
  at("new").addEventListener("click", () => { fresh(); conversation.draw(); at("question").focus(); });
  at("share").addEventListener("click", async () => { await save(); copy(location.href, "The link was copied."); });
  at("export").addEventListener("click", () => {
    if (!state.turns.some((turn) => turn.answer)) return say("There is no answer to save yet.");
    return saveFile("conversation.md", markdown(state.turns));
  });
}

function fresh() {
  state.id = newId();
  state.turns = [];
  viewer.close();
  state.view = null;
  save(true);
}

function changed() {
  if (!state.turns.length) conversation.draw();
  if (state.view && !documents.documentOf(state.view.key)) viewer.close();
}

function shortcuts(event) {
  const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
  if (event.key === "Escape" && !at("dialog").open && state.view) return viewer.close();
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return undefined;
  if (event.key === "/") { event.preventDefault(); pane("questions"); at("question").focus(); }
  if (event.key === "[") step(-1);
  if (event.key === "]") step(1);
  return undefined;
}

function lost(now) {
  if (lost.now === now) return;
  lost.now = now;
  at("trouble").textContent = now ? "The server does not answer. Trying again …" : "";
}

begin();
