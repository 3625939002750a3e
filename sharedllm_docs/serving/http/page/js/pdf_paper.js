// Pages of a PDF, drawn by pdf.js. It is loaded when the first PDF is opened.
import { address, documentPath, headers } from "./api.js";
import { askLine, h } from "./dom.js";

const HERE = new URL("../vendor/", import.meta.url).href;
const PIXELS = 16_000_000; // of a canvas; phones give up at more
let loading = null;

function library() {
  loading ??= import("../vendor/pdf.min.mjs").then((pdf) => {
    pdf.GlobalWorkerOptions.workerSrc = `${HERE}pdf.worker.min.mjs`;
    return pdf;
  });
  return loading;
}

/** Open the file of a document; fetches only the parts of it that are looked at. */
export async function pdfPaper(about) {
  const pdf = await library();
  // fonts that a file may leave out are our own, not the system's: letters stand where their boxes are
  const task = pdf.getDocument({
    url: address(documentPath(about.key, "/source")), httpHeaders: headers(), rangeChunkSize: 1 << 17,
    disableAutoFetch: true, disableStream: true, enableXfa: false, useSystemFonts: false,
    useWasm: false, isEvalSupported: false,
    cMapUrl: `${HERE}cmaps/`, cMapPacked: true, standardFontDataUrl: `${HERE}standard_fonts/`, wasmUrl: `${HERE}wasm/`,
  });
  task.onPassword = async (answer, reason) => {
    const wrong = reason === pdf.PasswordResponses.INCORRECT_PASSWORD ? "Wrong password. " : "";
    const given = await askLine({
      title: "The file is encrypted", text: `${wrong}${about.name} needs its password to be shown.`,
      label: "Password", password: true, action: "Show it",
    });
    if (given) answer(given);
    else answer(new Error("The file is encrypted, and no password was given."));
  };
  const file = await task.promise;
  const { width, height } = (await file.getPage(1)).getViewport({ scale: 1 });
  return {
    count: file.numPages,
    size: { width, height },
    draw: (number, host, scale) => draw(pdf, file, number, host, scale),
    close: () => task.destroy(),
  };
}

async function draw(pdf, file, number, host, scale) {
  const page = await file.getPage(number);
  const viewport = page.getViewport({ scale });
  const most = Math.sqrt(PIXELS / (viewport.width * viewport.height));
  const fine = Math.min(window.devicePixelRatio || 1, most);
  const canvas = h("canvas", { "aria-hidden": "true" });
  canvas.width = Math.ceil(viewport.width * fine);
  canvas.height = Math.ceil(viewport.height * fine);
  host.append(canvas);
  await page.render({ canvas, viewport: page.getViewport({ scale: scale * fine }) }).promise;
  const text = h("div", { class: "textLayer" });
  text.style.setProperty("--total-scale-factor", String(scale));
  host.append(text);
  const layer = new pdf.TextLayer({ textContentSource: page.streamTextContent(), container: text, viewport });
  layer.render().catch(() => {}); // selecting text is an extra
  return { width: viewport.width, height: viewport.height, place: (box) => place(viewport, box) };
}

/** A box in points as shares of the page: left, top, right, bottom. */
function place(viewport, box) {
  const [x0, y0] = viewport.convertToViewportPoint(box.left, box.bottom);
  const [x1, y1] = viewport.convertToViewportPoint(box.right, box.top);
  return [
    Math.min(x0, x1) / viewport.width, Math.min(y0, y1) / viewport.height,
    Math.max(x0, x1) / viewport.width, Math.max(y0, y1) / viewport.height,
  ];
}
