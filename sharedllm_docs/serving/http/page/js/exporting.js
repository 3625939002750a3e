// Text to take away: an answer with its citations, a conversation as Markdown.
import { at, h, say } from "./dom.js";

/** Characters that Markdown would take as its own. */
const plain = (text) => text.replace(/([\\`*_{}[\]<>#|])/g, "\\$1");

const where = (citation) => `${citation.document}, ${citation.place}`;

/** An answer with its citations as plain text. */
export function answerText(answer) {
  const quotes = answer.citations.map((one, number) => `[${number + 1}] “${one.quote}” (${where(one)})`);
  return [answer.text, ...quotes].join("\n");
}

/** A citation as plain text. */
export const citationText = (citation) => `“${citation.quote}” (${where(citation)})`;

/** A conversation as Markdown. */
export function markdown(turns) {
  const parts = ["# Questions and answers"];
  for (const turn of turns) {
    if (!turn.answer) continue;
    const { answer } = turn;
    parts.push(`## ${plain(turn.question)}`, plain(answer.text));
    if (answer.confidence !== null) parts.push(`Confidence: ${answer.confidence.toFixed(2)}`);
    const cited = answer.found ? answer.citations : answer.nearest;
    if (!answer.found && cited.length) parts.push("Nearest passages (not used for an answer):");
    parts.push(cited.map((one, number) =>
      `${number + 1}. ${plain(where(one))}\n   > ${plain(one.quote)}`).join("\n"));
  }
  return `${parts.filter(Boolean).join("\n\n")}\n`;
}

/** Put text on the clipboard. */
export async function copy(text, done) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // without HTTPS, and not on this machine, browsers lend no clipboard
    const field = h("textarea", { class: "hidden", readonly: true });
    field.value = text;
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
  say(done);
}

/** Save text as a file. */
export function saveFile(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/markdown" }));
  const link = h("a", { href: url, download: name });
  at("said").append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
