// A scrolling list of pages. Only those near the view are drawn, so a book of a thousand pages takes no more than a
// letter. What draws a page (a "paper") is given: pdf_paper.js, picture_paper.js.
import { h } from "./dom.js";

const MARGIN = 24; // pixels beside a page
const NEAR = "120% 0px";

export class Pages {
  /**
   * @param {HTMLElement} root scrolls
   * @param {{count: number, size: {width: number, height: number}, draw: Function, close: Function}} paper
   *   `size` is that of the first page in points; `draw(number, host, scale)` draws a page and resolves to
   *   `{width, height, place}`: its size in pixels, and a function from a box to shares of the page.
   * @param {(page: number) => void} turned told the page that is looked at
   */
  constructor(root, paper, turned) {
    Object.assign(this, { root, paper, turned, zoom: 1, marks: [], current: null, drawn: new Map() });
    this.sheets = Array.from({ length: paper.count }, (_none, at) =>
      h("div", { class: "sheet", data: { page: String(at + 1) }, role: "group", "aria-label": `Page ${at + 1}` }));
    root.replaceChildren(...this.sheets);
    this.layout();
    this.seen = new IntersectionObserver((entries) => entries.forEach((one) => this.look(one)), { root, rootMargin: NEAR });
    this.sheets.forEach((sheet) => this.seen.observe(sheet));
    this.scrolled = () => this.tell();
    root.addEventListener("scroll", this.scrolled, { passive: true });
    this.resized = new ResizeObserver(() => this.fit());
    this.resized.observe(root);
  }

  get scale() {
    return Math.max(0.1, ((this.root.clientWidth - MARGIN) / this.paper.size.width) * this.zoom);
  }

  layout() {
    const { width, height } = this.paper.size;
    for (const sheet of this.sheets) {
      sheet.style.width = `${width * this.scale}px`;
      sheet.style.height = `${height * this.scale}px`;
    }
    this.width = this.root.clientWidth;
  }

  /** Lay out and draw again, where the room has changed; the page that is looked at stays. */
  fit() {
    if (this.root.clientWidth === this.width || !this.root.clientWidth) return;
    clearTimeout(this.fitting);
    this.fitting = setTimeout(() => this.again(), 100);
  }

  again() {
    const page = this.page();
    const wanted = [...this.drawn.keys()];
    wanted.forEach((number) => this.drop(number));
    this.layout();
    if (this.current) this.show(this.current);
    else this.go(page);
    wanted.forEach((number) => this.draw(number));
  }

  magnify(factor) {
    this.zoom = Math.min(4, Math.max(0.25, this.zoom * factor));
    this.again();
  }

  look(entry) {
    const number = Number(entry.target.dataset.page);
    if (entry.isIntersecting) this.draw(number);
    else this.drop(number);
  }

  /** Draw a page once; resolves when it is there. */
  draw(number) {
    if (!this.drawn.has(number)) this.drawn.set(number, this.drawNow(number));
    return this.drawn.get(number);
  }

  async drawNow(number) {
    const sheet = this.sheets[number - 1];
    const host = h("div", { class: "drawing" });
    const started = { host };
    sheet.started = started;
    try {
      const size = await this.paper.draw(number, host, this.scale);
      if (sheet.started !== started) return;
      sheet.style.width = `${size.width}px`;
      sheet.style.height = `${size.height}px`;
      sheet.place = size.place;
      sheet.replaceChildren(host);
      sheet.dataset.drawn = "yes";
      this.mark(number);
    } catch (problem) {
      if (sheet.started !== started) return;
      sheet.replaceChildren(h("p", { class: "failed" }, `Page ${number} cannot be shown. ${problem.message ?? ""}`));
    }
  }

  drop(number) {
    if (!this.drawn.delete(number)) return;
    const sheet = this.sheets[number - 1];
    sheet.started = null;
    sheet.place = null;
    delete sheet.dataset.drawn;
    sheet.replaceChildren();
  }

  /**
   * Light citations.
   * @param {{number: number, colour: number, boxes: object[]}[]} marks
   */
  light(marks) {
    this.marks = marks;
    for (const number of this.drawn.keys()) this.mark(number);
  }

  mark(number) {
    const sheet = this.sheets[number - 1];
    sheet.querySelector(".marks")?.remove();
    if (!sheet.place) return;
    const lit = h("div", { class: "marks", "aria-hidden": "true" });
    for (const mark of this.marks) {
      mark.boxes.filter((box) => box.page === number).forEach((box, at) => {
        const [left, top, right, bottom] = sheet.place(box);
        const rules = { left, top, width: right - left, height: bottom - top };
        const style = Object.fromEntries(Object.entries(rules).map(([name, share]) => [name, `${share * 100}%`]));
        const now = this.current?.number === mark.number;
        lit.append(h("div", {
          class: now ? "mark now" : "mark", style, data: { colour: String(mark.colour), number: String(mark.number) },
        }, at === 0 && h("span", { class: "tag" }, String(mark.number))));
      });
    }
    sheet.append(lit);
  }

  /** The page that is looked at. */
  page() {
    const middle = this.root.scrollTop + this.root.clientHeight / 3;
    let low = 0;
    let high = this.sheets.length - 1;
    while (low < high) {
      const half = Math.ceil((low + high) / 2);
      if (this.sheets[half].offsetTop <= middle) low = half;
      else high = half - 1;
    }
    return low + 1;
  }

  tell() {
    if (this.telling) return;
    this.telling = requestAnimationFrame(() => { this.telling = 0; this.turned(this.page()); });
  }

  go(number) {
    const page = Math.min(this.sheets.length, Math.max(1, number));
    this.root.scrollTop = this.sheets[page - 1].offsetTop - 8;
    return this.draw(page);
  }

  /** Bring a citation into view: its first box, a third from the top. */
  async show(mark) {
    this.current = mark;
    this.light(this.marks);
    const first = mark.boxes[0];
    const page = first ? first.page : mark.page;
    await this.go(page);
    const sheet = this.sheets[page - 1];
    if (first && sheet.place && this.current === mark) {
      const top = sheet.offsetTop + sheet.place(first)[1] * sheet.offsetHeight;
      this.root.scrollTop = Math.max(0, top - this.root.clientHeight / 3);
    }
  }

  close() {
    this.seen.disconnect();
    this.resized.disconnect();
    this.root.removeEventListener("scroll", this.scrolled);
    [...this.drawn.keys()].forEach((number) => this.drop(number));
    this.root.replaceChildren();
    this.paper.close();
  }
}
