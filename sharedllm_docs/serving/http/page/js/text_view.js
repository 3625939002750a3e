// The text of a document as it was read, with citations lit: for formats without pages, and where no file is kept.
import { call, documentPath } from "./api.js";
import { h } from "./dom.js";

export class TextView {
  /** @param {HTMLElement} root @param {object} about the document */
  constructor(root, about) {
    Object.assign(this, { root, about, marks: [], current: null, start: 0, end: 0, total: 0, text: "" });
  }

  page() { return 1; }

  magnify(factor) {
    this.zoom = Math.min(3, Math.max(0.5, (this.zoom ?? 1) * factor));
    this.root.style.setProperty("--zoom", String(this.zoom));
  }

  async load(at) {
    const part = await call(documentPath(this.about.key, "/text"), { query: { at } });
    Object.assign(this, part);
    this.draw();
  }

  light(marks) {
    this.marks = marks;
    if (this.text) this.draw();
  }

  go() { return this.text ? Promise.resolve() : this.load(0); }

  async show(mark) {
    this.current = mark;
    if (!this.text || mark.start < this.start || mark.end > this.end) await this.load(mark.start);
    else this.draw();
    this.root.querySelector(".mark.now")?.scrollIntoView({ block: "center" });
  }

  draw() {
    const place = h("div", { class: "text" });
    if (this.start > 0) place.append(this.more("Earlier text", this.start));
    place.append(h("p", { class: "read" }, this.pieces()));
    if (this.end < this.total) place.append(this.more("Later text", this.end));
    this.root.replaceChildren(place);
  }

  more(label, at) {
    return h("button", { type: "button", on: { click: () => this.load(at).then(() => { this.root.scrollTop = 0; }) } }, label);
  }

  /** The text, cut where citations begin and end. */
  pieces() {
    const cuts = new Set([this.start, this.end]);
    for (const mark of this.marks) for (const at of [mark.start, mark.end]) if (at > this.start && at < this.end) cuts.add(at);
    const places = [...cuts].sort((a, b) => a - b);
    return places.slice(1).map((end, number) => {
      const begin = places[number];
      const text = slice(this.text, begin - this.start, end - this.start);
      const lit = this.marks.filter((mark) => mark.start <= begin && mark.end >= end);
      const mark = lit.find((one) => one.number === this.current?.number) ?? lit[0];
      if (!mark) return text;
      const now = mark.number === this.current?.number;
      return h("mark", { class: now ? "mark now" : "mark", data: { colour: String(mark.colour), number: String(mark.number) } },
        begin === mark.start && h("span", { class: "tag" }, String(mark.number)), text);
    });
  }

  close() { this.root.replaceChildren(); }
}

/** A part by characters, as Python counts them: one for each code point, where JavaScript counts two for some. */
function slice(text, start, end) {
  slice.known ??= { text: null, chars: [] };
  if (slice.known.text !== text) slice.known = { text, chars: Array.from(text) };
  return slice.known.chars.slice(start, end).join("");
}
