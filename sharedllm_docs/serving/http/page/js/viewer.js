// The source beside an answer: opens a document and lights what is cited of it.
import { at, h } from "./dom.js";
import { Pages } from "./pages.js";
import { pdfPaper } from "./pdf_paper.js";
import { picturePaper } from "./picture_paper.js";
import { TextView } from "./text_view.js";

let open = null; // {key, view}
let wanted = 0; // grows with each call: what comes too late is dropped
let told = { turned: () => {}, closed: () => {}, step: () => {} };

/** Begin: `turned(page)`, `closed()` and `step(-1 | 1)` (another citation) are told. */
export function start(listeners) {
  told = listeners;
  at("close").addEventListener("click", close);
  at("before").addEventListener("click", () => told.step(-1));
  at("after").addEventListener("click", () => told.step(1));
  at("smaller").addEventListener("click", () => open?.view.magnify(1 / 1.25));
  at("larger").addEventListener("click", () => open?.view.magnify(1.25));
  at("page").addEventListener("change", () => open?.view.go(Number(at("page").value) || 1));
}

/**
 * Show a document.
 * @param {object} about the document, as the API tells it
 * @param {object[]} marks what is lit: {number, colour, boxes, page, start, end, quote, place}
 * @param {object|null} current the mark to go to
 * @param {number} page to go to without one
 */
export async function show(about, marks, current, page = 1) {
  wanted += 1;
  const mine = wanted;
  at("nothing").hidden = true;
  at("viewer").hidden = false;
  at("viewed").textContent = about.name;
  at("quoted").hidden = !current;
  at("quoted").replaceChildren(...(current ? quoted(current) : []));
  for (const name of ["before", "after"]) at(name).disabled = !current;
  if (open?.key !== about.key) {
    open?.view.close();
    open = null;
    at("paper").replaceChildren(h("p", { class: "empty" }, "Opening …"));
    const view = await opened(about);
    if (mine !== wanted) return view.close();
    open = { key: about.key, view };
    at("turning").hidden = !view.paper;
    at("pages").textContent = String(view.paper?.count ?? about.pages);
    at("page").max = String(view.paper?.count ?? about.pages);
  }
  const { view } = open;
  view.current = current;
  view.light(marks);
  // a view that is brought back stays at its page, even where that is not the citation's
  const there = !current || [current.page, ...current.boxes.map((box) => box.page)].includes(page);
  await (current && there ? view.show(current) : view.go(page));
  if (mine === wanted) turned(view.page());
  return undefined;
}

const quoted = (mark) => [
  h("span", { class: "number", data: { colour: String(mark.colour) } }, String(mark.number)), ` ${mark.place}: “${mark.quote}”`];

async function opened(about) {
  const paper = at("paper");
  const tell = (page) => turned(page);
  if (about.source && about.reader === "pdf") {
    for (const make of [pdfPaper, picturePaper]) {
      try { return new Pages(paper, await make(about), tell); } catch (problem) { console.warn(about.name, problem); }
    }
  }
  return new TextView(paper, about);
}

function turned(page) {
  if (document.activeElement !== at("page")) at("page").value = String(page);
  told.turned(page);
}

/** Close the source. */
export function close() {
  wanted += 1;
  open?.view.close();
  open = null;
  at("viewer").hidden = true;
  at("nothing").hidden = false;
  told.closed();
}
