// Pages as pictures that the server draws: where pdf.js cannot open a file.
import { blob, call, documentPath } from "./api.js";
import { h } from "./dom.js";

export async function picturePaper(about) {
  const first = await call(documentPath(about.key, "/pages/1"));
  const [left, bottom, right, top] = first.shown;
  const upright = first.rotation % 180 === 0;
  const urls = new Set();
  return {
    count: about.pages,
    size: { width: upright ? right - left : top - bottom, height: upright ? top - bottom : right - left },
    draw: (number, host, scale) => draw(about, urls, number, host, scale),
    close: () => urls.forEach((url) => URL.revokeObjectURL(url)),
  };
}

async function draw(about, urls, number, host, scale) {
  const path = documentPath(about.key, `/pages/${number}`);
  const fine = Math.min(4, Math.max(0.5, scale * (window.devicePixelRatio || 1)));
  const [page, picture] = await Promise.all([
    call(path), blob(`${path}.png`, { query: { scale: fine.toFixed(2) } })]);
  const url = URL.createObjectURL(picture);
  urls.add(url);
  const image = h("img", { src: url, alt: `Page ${number} of ${about.name}` });
  await image.decode();
  host.append(image);
  const [left, bottom, right, top] = page.shown;
  const upright = page.rotation % 180 === 0;
  return {
    width: (upright ? right - left : top - bottom) * scale,
    height: (upright ? top - bottom : right - left) * scale,
    place: (box) => place(page, box),
  };
}

/** A box in points as shares of the page as it is shown: left, top, right, bottom. */
function place({ shown: [left, bottom, right, top], rotation }, box) {
  const turned = (x, y) => {
    const across = (x - left) / (right - left);
    const down = (top - y) / (top - bottom);
    return { 0: [across, down], 90: [1 - down, across], 180: [1 - across, 1 - down], 270: [down, 1 - across] }[rotation];
  };
  const [x0, y0] = turned(box.left, box.top);
  const [x1, y1] = turned(box.right, box.bottom);
  return [Math.min(x0, x1), Math.min(y0, y1), Math.max(x0, x1), Math.max(y0, y1)];
}
