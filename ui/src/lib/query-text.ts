/**
 * The query text, as far as the page needs to understand it: colours, chips, the token under the caret, and adding or
 * removing a filter. The server alone decides what a query means.
 */

export type TokenKind = "space" | "open" | "close" | "and" | "or" | "not" | "term";

export type Token = {
  kind: TokenKind;
  /** Where it stands in the text, in UTF-16 units. */
  start: number;
  end: number;
  /** For terms: `-` in front. */
  negated?: boolean;
  /** For terms: the name before the colon. */
  field?: string;
  /** For terms: where the value begins. */
  valueStart?: number;
  /** A phrase or group that is not closed. */
  open?: boolean;
};

const isSpace = (character: string) => /\s/.test(character);

/** Where a value ends that begins at `start`: a quoted phrase, a group, a range in brackets or a run without spaces. */
function endOfValue(text: string, start: number): { end: number; open: boolean } {
  let at = start;
  while (at < text.length && "<>=!".includes(text[at]!)) at += 1;
  const opener = text[at];
  if (opener === '"') {
    for (at += 1; at < text.length; at += 1) {
      if (text[at] === "\\") at += 1;
      else if (text[at] === '"') return { end: at + 1, open: false };
    }
    return { end: text.length, open: true };
  }
  if (opener === "(" || opener === "[" || opener === "{") {
    const closers = opener === "(" ? ")" : "]}";
    let quoted = false;
    for (at += 1; at < text.length; at += 1) {
      if (text[at] === "\\") at += 1;
      else if (text[at] === '"') quoted = !quoted;
      else if (!quoted && closers.includes(text[at]!)) return { end: at + 1, open: false };
    }
    return { end: text.length, open: true };
  }
  while (at < text.length && !isSpace(text[at]!) && text[at] !== ")" && text[at] !== "(") at += text[at] === "\\" ? 2 : 1;
  return { end: Math.min(at, text.length), open: false };
}

const FIELD = /[A-Za-z_](?:[\w.\-]|\\.|\[\])*:/y;

function readTerm(text: string, start: number): Token {
  const negated = text[start] === "-";
  const begin = negated ? start + 1 : start;
  FIELD.lastIndex = begin;
  const field = FIELD.exec(text)?.[0].slice(0, -1);
  const valueStart = field === undefined ? begin : begin + field.length + 1;
  const { end, open } = endOfValue(text, valueStart);
  return { kind: "term", start, end: Math.max(end, start + 1), negated, field, valueStart, open };
}

/** The whole text as tokens without gaps. */
export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    const character = text[at]!;
    if (isSpace(character)) {
      let end = at + 1;
      while (end < text.length && isSpace(text[end]!)) end += 1;
      tokens.push({ kind: "space", start: at, end });
    } else if (character === "(" || character === ")") {
      tokens.push({ kind: character === "(" ? "open" : "close", start: at, end: at + 1 });
    } else if (character === "-" && text[at + 1] === "(") {
      tokens.push({ kind: "not", start: at, end: at + 1 });
    } else {
      const word = /^(AND|OR|NOT)(?=[\s()]|$)/.exec(text.slice(at, at + 4))?.[1];
      if (word) tokens.push({ kind: word.toLowerCase() as TokenKind, start: at, end: at + word.length });
      else tokens.push(readTerm(text, at));
    }
    at = tokens.at(-1)!.end;
  }
  return tokens;
}

/** One part of a query that can be shown and removed by itself. */
export type Chip = { label: string; negated: boolean; start: number; end: number; kind: "filter" | "text" | "group" };

const OPERATORS: Record<string, string> = { ">=": "≥", "<=": "≤", ">": ">", "<": "<" };

function chipOfTerm(text: string, token: Token, negated: boolean): Omit<Chip, "start" | "end"> {
  const value = text.slice(token.valueStart, token.end);
  if (token.field === undefined) return { label: `text ${value.startsWith('"') ? value.replaceAll('"', "“").replace(/“$/, "”") : `“${value}”`}`, negated, kind: "text" };
  const operator = /^(>=|<=|>|<)/.exec(value)?.[1];
  const shown = operator ? `${OPERATORS[operator]} ${value.slice(operator.length)}` : value === "*" ? "exists" : value.startsWith("(") ? `in ${value}` : `= ${unquote(value)}`;
  return { label: `${token.field} ${shown}`, negated, kind: "filter" };
}

/** The parts that must all match; a query with `OR` outside parentheses is one part. */
export function chips(text: string): Chip[] {
  const tokens = tokenize(text).filter((token) => token.kind !== "space");
  const found: Chip[] = [];
  let at = 0;
  let or = false;
  while (at < tokens.length) {
    let token = tokens[at]!;
    const start = token.start;
    let negated = false;
    while (token.kind === "not" && at + 1 < tokens.length) {
      negated = !negated;
      token = tokens[(at += 1)]!;
    }
    if (token.kind === "term") {
      found.push({ ...chipOfTerm(text, token, negated !== (token.negated ?? false)), start, end: token.end });
    } else if (token.kind === "open") {
      let depth = 1;
      while (depth > 0 && at + 1 < tokens.length) {
        token = tokens[(at += 1)]!;
        depth += token.kind === "open" ? 1 : token.kind === "close" ? -1 : 0;
      }
      found.push({ label: text.slice(start, token.end), negated, start, end: token.end, kind: "group" });
    } else if (token.kind === "or") or = true;
    at += 1;
  }
  if (or) return [{ label: text.trim(), negated: false, start: 0, end: text.length, kind: "group" }];
  return found;
}

/** The text without one part, and without the `AND` that joined it. */
export function removeChip(text: string, chip: Pick<Chip, "start" | "end">): string {
  const before = text.slice(0, chip.start).replace(/(^|\s)AND\s*$/, "$1");
  const after = text.slice(chip.end);
  const joined = before.trim() === "" ? after.replace(/^\s*AND(?=\s)/, "") : `${before.trimEnd()} ${after.trimStart()}`;
  return joined.trim();
}

/** A value as it is written in query text, quoted when it must be. */
export function quote(value: string): string {
  const plain = /^[^\s"\\()[\]{}*<>=!:-][^\s"\\()[\]{}*:]*$/.test(value) && !/^(AND|OR|NOT)$/.test(value);
  return plain || /^\/[^\s"\\()[\]{}*:]*$/.test(value) ? value : `"${value.replace(/[\\"]/g, "\\$&")}"`;
}

export function unquote(value: string): string {
  return value.startsWith('"') ? value.slice(1).replace(/"$/, "").replace(/\\(.)/g, "$1") : value;
}

/** A filter on one field; `null` asks for exchanges without a value. */
export function filterText(field: string, value: string | number | boolean | null, without: boolean): string {
  if (value === null) return `${without ? "" : "-"}${field}:*`;
  return `${without ? "-" : ""}${field}:${quote(String(value))}`;
}

/**
 * The query with one more filter. What says the opposite is taken away first, so that ＋ after － does what it says;
 * a filter that is already there is not added twice. A query with `OR` is put in parentheses.
 */
export function addFilter(text: string, field: string, value: string | number | boolean | null, without: boolean): string {
  const wanted = filterText(field, value, without);
  const opposite = filterText(field, value, !without);
  const parts = chips(text);
  if (parts.some((chip) => text.slice(chip.start, chip.end) === wanted)) return text;
  const contrary = parts.find((chip) => text.slice(chip.start, chip.end) === opposite);
  const rest = contrary ? removeChip(text, contrary) : text.trim();
  if (rest === "") return wanted;
  const either = tokenize(rest).some((token, _, all) => token.kind === "or" && depthAt(all, token) === 0);
  return `${either ? `(${rest})` : rest} ${wanted}`;
}

function depthAt(tokens: Token[], token: Token): number {
  let depth = 0;
  for (const one of tokens) {
    if (one === token) return depth;
    depth += one.kind === "open" ? 1 : one.kind === "close" ? -1 : 0;
  }
  return depth;
}

/** The term the caret is in or right behind, if any. */
export function tokenAt(text: string, caret: number): Token | null {
  return tokenize(text).find((token) => token.kind === "term" && token.start <= caret && caret <= token.end) ?? null;
}
