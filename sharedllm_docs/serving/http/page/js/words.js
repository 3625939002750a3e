// Amounts and errors in words.

const number = new Intl.NumberFormat("en");

export const count = (value) => number.format(value);

/** "1 page", "3 pages". */
export const counted = (value, word) => `${count(value)} ${word}${value === 1 ? "" : "s"}`;

export function bytes(value) {
  if (value < 1000) return `${value} bytes`;
  const units = ["KB", "MB", "GB", "TB"];
  let unit = -1;
  do { value /= 1000; unit += 1; } while (value >= 1000 && unit < units.length - 1);
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** Seconds as a person says them: "3 min". */
export function duration(seconds) {
  if (seconds < 1) return "a second";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

export const milliseconds = (seconds) => (seconds < 10 ? `${count(Math.round(seconds * 1000))} ms` : duration(seconds));

/** How sure an answer is, in a word: the number stands beside it. */
export function sureness(confidence) {
  if (confidence === null || confidence === undefined) return "";
  if (confidence >= 0.8) return "high";
  return confidence >= 0.5 ? "middling" : "low";
}

const SENTENCES = {
  EncryptedDocumentError: (name) => `${name} is encrypted. Enter its password to read it.`,
  ScannedDocumentError: (name) =>
    `${name} is scanned: its pages are pictures, and no text was found in them. ` +
    "Have its text recognised first (OCR), and add the result.",
  DamagedDocumentError: (name) => `${name} is damaged; no page of it can be read. Save or download it again.`,
  EmptyDocumentError: (name) => `${name} contains no text.`,
  DiskFullError: () => "The server's disk is full. Existing documents are safe; the server's owner has to free space.",
  DiskBudgetError: (name) => `${name} does not fit into the space that is left for this index. Delete another document first.`,
};

/** An error as a sentence for whoever added the file: what the library advises is for whoever calls it. */
export function sentence(problem, name) {
  const made = SENTENCES[problem.type];
  if (made) return made(name);
  if (problem.type === "UnknownFormatError" && problem.remedy?.startsWith("Taken are ")) {
    return `${problem.message.replace(problem.remedy, "").trim()} The box above lists what is.`;
  }
  if (problem.type !== "DocumentTooLargeError" || !problem.remedy) return problem.message;
  return `${problem.message.replace(problem.remedy, "").trim()} Split it, or ask the server’s owner for more.`;
}
