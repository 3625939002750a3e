// The server, through /api alone.
import { askLine } from "./dom.js";

/** An error that the server has told, or that it cannot be reached (`lost`). */
export class Problem extends Error {
  constructor({ message, type = "", remedy = "" }, status = 0) {
    super(message);
    this.type = type;
    this.remedy = remedy;
    this.status = status;
    this.lost = status === 0;
  }
}

const LOST = { message: "The server does not answer.", type: "Lost" };
let index = "";
let asking = null;
let unreachable = () => {};

export const useIndex = (name) => { index = name; };

/** Called with true when the server is lost and with false when it is there again. */
export const onLost = (tell) => { unreachable = tell; };

function key() {
  try { return sessionStorage.getItem("key") || ""; } catch { return ""; }
}

/** Headers of every request. */
export const headers = () => (key() ? { Authorization: `Bearer ${key()}` } : {});

/** The address of something in the API, of the index in use. */
export function address(path, query = {}) {
  const url = new URL(`/api${path}`, location.origin);
  for (const [name, value] of Object.entries({ ...query, ...(index && { index }) })) url.searchParams.set(name, value);
  return url.href;
}

export const documentPath = (name, rest = "") => `/documents/${encodeURIComponent(name)}${rest}`;

/** Ask the user for the key once, however many requests were refused. */
function askForKey() {
  asking ??= askLine({
    title: "This server needs a key", text: "Ask the server’s owner for it. It is kept until this tab is closed.",
    label: "API key", password: true, action: "Use it",
  }).then((given) => {
    asking = null;
    if (given) sessionStorage.setItem("key", given.trim());
    return Boolean(given);
  });
  return asking;
}

async function problemOf(response) {
  let told = null;
  try { told = (await response.json()).error; } catch { /* no JSON: something between us and the server */ }
  return new Problem(told ?? { message: `The server answered ${response.status}.` }, response.status);
}

async function request(path, { method = "GET", body, query, signal, quiet = false } = {}) {
  const sent = { method, signal, headers: headers(), cache: "no-store" };
  if (body !== undefined) {
    sent.body = JSON.stringify(body);
    sent.headers["Content-Type"] = "application/json";
  }
  let response;
  try {
    response = await fetch(address(path, query), sent);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    unreachable(true);
    throw new Problem(LOST);
  }
  unreachable(false);
  if (response.status === 401 && !quiet && (await askForKey())) return request(path, { method, body, query, signal });
  if (!response.ok) throw await problemOf(response);
  return response;
}

/** Call the API; the answer's JSON. */
export const call = async (path, options) => (await request(path, options)).json();

/** Something of the API as a blob. */
export const blob = async (path, options) => (await request(path, options)).blob();

/** The events of a stream: `[name, data]`. */
export async function* events(path, options) {
  const response = await request(path, { method: "POST", ...options });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const event = parsed(block);
        if (event) yield event;
      }
    }
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({ ...LOST, message: "The connection to the server was lost." });
  } finally {
    reader.cancel().catch(() => {});
  }
}

function parsed(block) {
  let name = "message";
  const data = [];
  for (const line of block.split("\n")) {
    if (line.startsWith("event: ")) name = line.slice(7);
    else if (line.startsWith("data: ")) data.push(line.slice(6));
  }
  return data.length ? [name, JSON.parse(data.join("\n"))] : null;
}

/**
 * Send a file.
 * @param {File} file
 * @param {string|null} password of an encrypted document
 * @param {(share: number) => void} sent told how much has arrived, 0 to 1
 */
export function upload(file, password, sent) {
  const form = new FormData();
  if (password) form.append("password", password);
  form.append("file", file, file.name);
  const once = () => new Promise((resolve, reject) => {
    // fetch does not tell how much was sent
    const call = new XMLHttpRequest();
    call.open("POST", address("/documents"));
    for (const [name, value] of Object.entries(headers())) call.setRequestHeader(name, value);
    call.responseType = "json";
    call.upload.addEventListener("progress", (event) => event.lengthComputable && sent(event.loaded / event.total));
    call.addEventListener("load", () => {
      if (call.status < 300) resolve(call.response);
      else reject(new Problem(call.response?.error ?? { message: `The server answered ${call.status}.` }, call.status));
    });
    call.addEventListener("error", () => reject(new Problem(LOST)));
    call.send(form);
  });
  return once().catch(async (error) => {
    if (error.status === 401 && (await askForKey())) return once();
    throw error;
  });
}
