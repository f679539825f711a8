/** What calls can be broken down by, on which screen, and how a line of it is asked for in Traffic. */
import type { Filter } from "../../api/client";
import type { FieldValue } from "../../api/types";
import { addFilter } from "../../lib/query-text";

export type Cut = {
  /** As it stands in a link. */
  key: string;
  title: string;
  /** What one line is. */
  one: string;
  /** What is counted by; two fields make one name. */
  fields: [string] | [string, string];
  /** What a line without a value is called. */
  none: string;
  /** Whether values are text that can be searched. */
  text: boolean;
  /** A name that callers may have beside the value. */
  alias?: string;
};

export type Screen = {
  path: "/endpoints" | "/callers" | "/errors" | "/countries";
  title: string;
  /** Which calls it is about, beside the reader's query. */
  only?: string;
  cuts: Cut[];
};

/** Every call that the error ratio counts. */
export const FAILED = "(status:>=500 OR -status:* OR operation_error:*)";

const ENDPOINT: Cut = { key: "endpoint", title: "Endpoints", one: "endpoint", fields: ["method", "endpoint"], none: "without a template", text: true };
const SERVICE: Cut = { key: "service", title: "Services", one: "service", fields: ["service"], none: "no service", text: true };
const KEY: Cut = { key: "key", title: "Keys", one: "key", fields: ["session"], none: "no key", text: true, alias: "attribute.tyk.alias" };

export const SCREENS = {
  endpoints: {
    path: "/endpoints",
    title: "Endpoints",
    cuts: [
      ENDPOINT,
      SERVICE,
      { key: "version", title: "Versions", one: "service and version", fields: ["service", "attribute.tyk.api_version"], none: "no version", text: true },
      { key: "route", title: "Routes", one: "route", fields: ["route"], none: "no route", text: true },
      { key: "operation", title: "Operations", one: "operation", fields: ["protocol", "operation"], none: "not named", text: true },
      { key: "tag", title: "Tags", one: "tag", fields: ["attribute.tyk.tags"], none: "no tag", text: true },
    ],
  },
  callers: {
    path: "/callers",
    title: "Callers",
    cuts: [
      KEY,
      { key: "oauth", title: "OAuth clients", one: "OAuth client", fields: ["attribute.tyk.oauth_id"], none: "no OAuth client", text: true },
      { key: "consumer", title: "Consumers", one: "consumer", fields: ["consumer"], none: "no consumer", text: true },
      { key: "address", title: "Addresses", one: "address", fields: ["client"], none: "no address", text: true },
      { key: "agent", title: "Agents", one: "user agent", fields: ["user_agent"], none: "no user agent", text: true },
    ],
  },
  errors: {
    path: "/errors",
    title: "Errors",
    only: "(status:>=400 OR -status:* OR operation_error:*)",
    cuts: [
      { key: "status", title: "Status codes", one: "status", fields: ["status"], none: "no answer", text: false },
      { key: "cause", title: "Causes", one: "cause", fields: ["error"], none: "answered by the service", text: true },
      { key: "inside", title: "Inside answers", one: "error", fields: ["operation_error"], none: "nothing inside", text: true },
      ENDPOINT,
      SERVICE,
      { key: "user", title: "Users", one: "user", fields: ["user"], none: "nobody known", text: true },
      KEY,
    ],
  },
  countries: {
    path: "/countries",
    title: "Countries",
    cuts: [{ key: "country", title: "Countries", one: "country", fields: ["country"], none: "unknown", text: false }],
  },
} satisfies Record<string, Screen>;

export const screenOf = (path: string): Screen => Object.values(SCREENS).find((screen) => path.startsWith(screen.path)) ?? SCREENS.endpoints;

export const cutOf = (screen: Screen, key: string | undefined): Cut => screen.cuts.find((cut) => cut.key === key) ?? screen.cuts[0]!;

/** The query of a screen: the reader's, narrowed to what the screen is about. */
export function screenQuery(q: string, screen: Screen): string {
  if (!screen.only) return q;
  if (q.trim() === "") return screen.only;
  return `${/\bOR\b/.test(q) ? `(${q.trim()})` : q.trim()} ${screen.only}`;
}

export type Line = { values: FieldValue[] };

/** The calls of one line. Where a status says already that something failed, the rest of the screen's query says nothing more. */
export function lineQuery(q: string, screen: Screen, cut: Cut, line: Line): string {
  const status = cut.fields[0] === "status" ? line.values[0] : undefined;
  const plain = status !== undefined && (status === null || Number(status) >= 400);
  return cut.fields.reduce((text, field, at) => addFilter(text, field, line.values[at] ?? null, false), plain ? q : screenQuery(q, screen));
}

/** Exactly these lines, or a few more where two fields make a name: asked for by what their fields hold. */
export function linesFilter(cut: Cut, lines: Line[]): Filter | undefined {
  const parts = cut.fields.flatMap((field, at): Filter[] => {
    const values = [...new Set(lines.map((line) => line.values[at] ?? null))];
    const known = values.filter((value) => value !== null);
    const some: Filter[] = known.length > 0 ? [{ field, op: "in", values: known }] : [];
    const all: Filter[] = values.includes(null) ? [...some, { not: { field, op: "exists" } }] : some;
    return all.length === 0 ? [] : [all.length === 1 ? all[0]! : { or: all }];
  });
  return parts.length === 0 ? undefined : parts.length === 1 ? parts[0] : { and: parts };
}

/** Lines whose name has the words in it; `*` stands for anything. */
export function findFilter(cut: Cut, words: string): Filter | undefined {
  const wanted = words.trim();
  if (wanted === "" || !cut.text) return undefined;
  const value = `*${wanted.replace(/^\*|\*$/g, "")}*`;
  const parts = cut.fields.map((field): Filter => ({ field, op: "like", value }));
  return parts.length === 1 ? parts[0] : { or: parts };
}

export const both = (...filters: (Filter | undefined)[]): Filter | undefined => {
  const known = filters.filter((filter) => filter !== undefined);
  return known.length > 1 ? { and: known } : known[0];
};

/** One name for the same line in every answer. */
export const lineKey = (values: FieldValue[]): string => JSON.stringify(values);
