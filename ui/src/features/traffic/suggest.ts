/** What the query bar offers at the caret. */
import type { Field, Fields } from "../../api/types";
import { quote, tokenAt, tokenize, unquote } from "../../lib/query-text";

export type Suggestion = { key: string; text: string; about?: string; count?: number; /** What the text becomes, and where the caret goes. */ result: string; caret: number; kind: "field" | "operator" | "value" | "history" };

/** The place in the text that is being written. */
export type Place =
  | { kind: "field"; start: number; end: number; typed: string }
  | { kind: "value"; field: string; start: number; end: number; typed: string; /** The query without this term: what values are counted in. */ rest: string };

export function placeAt(text: string, caret: number): Place {
  const token = tokenAt(text, caret);
  if (!token) return { kind: "field", start: caret, end: caret, typed: "" };
  const begin = token.negated ? token.start + 1 : token.start;
  if (token.field === undefined || caret < token.valueStart!) {
    return { kind: "field", start: begin, end: token.field === undefined ? token.end : token.valueStart!, typed: text.slice(begin, Math.max(begin, caret)) };
  }
  const typed = text.slice(token.valueStart, caret);
  const rest = `${text.slice(0, token.start)} ${text.slice(token.end)}`.trim();
  return { kind: "value", field: token.field, start: token.valueStart!, end: token.end, typed, rest: isWhole(rest) ? rest : "" };
}

/** Whether a query reads well enough to count values in it. */
function isWhole(text: string): boolean {
  const tokens = tokenize(text).filter((token) => token.kind !== "space");
  const last = tokens.at(-1)?.kind;
  const first = tokens[0]?.kind;
  return !tokens.some((token) => token.open) && last !== "and" && last !== "or" && last !== "not" && first !== "and" && first !== "or"
    && tokens.filter((token) => token.kind === "open").length === tokens.filter((token) => token.kind === "close").length;
}

/** What the API is asked for values: nothing when an operator, group or pattern is being written. */
export function valuePrefix(typed: string): string | null {
  return /^[<>=([{*]/.test(typed) ? null : unquote(typed);
}

function replace(text: string, place: Place, by: string): { result: string; caret: number } {
  const result = text.slice(0, place.start) + by + text.slice(place.end);
  return { result, caret: place.start + by.length };
}

export function suggestFields(text: string, place: Place & { kind: "field" }, fields: Fields | undefined, history: string[]): Suggestion[] {
  const typed = place.typed.toLowerCase();
  const rank = (field: Field) => {
    if (field.aliases.some((name) => name.startsWith(typed))) return 0;
    if (field.name.startsWith(typed)) return 1;
    return [...field.aliases, field.name].some((name) => name.includes(typed)) ? 2 : field.about.toLowerCase().includes(typed) ? 3 : 4;
  };
  const found = (fields?.fields ?? [])
    .filter((field) => rank(field) < (typed.length > 2 ? 4 : 3))
    .sort((a, b) => rank(a) - rank(b))
    .map((field): Suggestion => {
      const name = field.aliases[0] ?? field.name;
      return { key: `f:${field.name}`, text: `${name}:`, about: field.about, kind: "field", ...replace(text, place, `${name}:`) };
    });
  const families = (fields?.families ?? [])
    .filter((family) => typed !== "" && family.prefix.startsWith(typed) && family.prefix !== typed)
    .map((family): Suggestion => ({ key: `p:${family.prefix}`, text: `${family.prefix}…`, about: family.about, kind: "field", ...replace(text, place, family.prefix) }));
  const past = text.trim() === "" ? history.slice(0, 6).map((one): Suggestion => ({ key: `h:${one}`, text: one, kind: "history", result: one, caret: one.length })) : [];
  return [...past, ...found.slice(0, 40), ...families];
}

export function suggestOperators(text: string, place: Place & { kind: "value" }, field: Field | undefined): Suggestion[] {
  if (place.typed !== "" || !field) return [];
  const number = ["integer", "bytes", "duration", "time"].includes(field.type);
  const example: Record<string, string> = { duration: ", for example >=500ms", bytes: ", for example >1MB" };
  const operators: [string, string][] = number
    ? [[">=", `at least${example[field.type] ?? ""}`], [">", "more than"], ["<=", "at most"], ["<", "less than"], ["*", "has any value"]]
    : [["*", "has any value; ends a beginning: /v1/*"], ["(", "one of several: (a b)"]];
  return operators.map(([operator, about]): Suggestion => ({ key: `o:${operator}`, text: operator, about, kind: "operator", ...replace(text, place, operator) }));
}

export function suggestValues(text: string, place: Place & { kind: "value" }, values: { value: string | number | boolean | null; count: number }[]): Suggestion[] {
  return values.flatMap(({ value, count }): Suggestion[] => {
    if (value === null) return [];
    const written = `${quote(String(value))} `;
    const after = text.slice(place.end).startsWith(" ") ? written.trimEnd() : written;
    const { result, caret } = replace(text, place, after);
    return [{ key: `v:${String(value)}`, text: String(value), count, kind: "value", result, caret: after.endsWith(" ") ? caret : caret + 1 }];
  });
}
