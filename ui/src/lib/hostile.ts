/**
 * Captured text comes from strangers. It is shown as text nodes only, and what would be invisible or would reorder
 * the text around it is replaced by a visible mark.
 */

// Controls (without tab and line feed), bidirectional controls, zero-width characters, line separators, tag characters,
// lone surrogates.
const HIDDEN =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb]|\udb40[\udc00-\udfff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]|\[masked\]/g;

const NAMES: Record<number, string> = {
  0x00: "NUL", 0x07: "BEL", 0x08: "BS", 0x09: "TAB", 0x0a: "LF", 0x0d: "CR", 0x1b: "ESC", 0x7f: "DEL", 0xad: "SHY", 0x200b: "ZWSP", 0x200c: "ZWNJ", 0x200d: "ZWJ",
  0x200e: "LRM", 0x200f: "RLM", 0x202a: "LRE", 0x202b: "RLE", 0x202c: "PDF", 0x202d: "LRO", 0x202e: "RLO",
  0x2066: "LRI", 0x2067: "RLI", 0x2068: "FSI", 0x2069: "PDI", 0x2028: "LS", 0x2029: "PS", 0xfeff: "BOM", 0x61c: "ALM",
};

/** A piece of text, or a mark in place of a character that cannot be seen. */
export type Piece = { text: string; mark: boolean; at: number; /** What weir put in the place of a secret. */ masked?: boolean };

const MASK = "[masked]";

const codeOf = (character: string) => `U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}`;

/** Tabs and line feeds are also hidden where a text must stay on one line. */
const HIDDEN_IN_LINE = new RegExp(`${HIDDEN.source}|[\\t\\n]`, "g");

/** The text cut at its hidden characters; one piece when there are none. `at` is where the piece begins. */
export function pieces(text: string, lines = false): Piece[] {
  const found: Piece[] = [];
  let end = 0;
  for (const match of text.matchAll(lines ? HIDDEN : HIDDEN_IN_LINE)) {
    // A variation selector or joiner inside an emoji is part of what is seen.
    if (match.index > 0 && /[\u200d\ufe0f]/.test(match[0]) && /\p{Extended_Pictographic}/u.test(text.slice(Math.max(0, match.index - 2), match.index))) continue;
    if (match.index > end) found.push({ text: text.slice(end, match.index), mark: false, at: end });
    const code = match[0].codePointAt(0)!;
    if (match[0] === MASK) found.push({ text: "masked", mark: true, at: match.index, masked: true });
    else found.push({ text: NAMES[code] ?? codeOf(match[0]), mark: true, at: match.index });
    end = match.index + match[0].length;
  }
  if (end < text.length || found.length === 0) found.push({ text: text.slice(end), mark: false, at: end });
  return found;
}

/** The same for places that take a plain string, such as titles. */
export const visible = (text: string): string => pieces(text).map((piece) => (piece.masked ? MASK : piece.mark ? `⟨${piece.text}⟩` : piece.text)).join("");

/** A cell of a CSV file that a spreadsheet will not run. */
export function csvCell(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
