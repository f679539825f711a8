/** What is being looked at. All of it lives in the address, so every view is a link. */
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useCallback, useMemo } from "react";
import { DEFAULT_RANGE, isRange, type TimeRange } from "../lib/time";
import { getSettings } from "./settings";

export type Search = {
  /** Query text. */
  q?: string;
  /** First instant, as an expression; `all` for everything. */
  from?: string;
  /** Last instant, as an expression. */
  to?: string;
  /** Seconds between refreshes. */
  refresh?: string;
  /** Columns with widths: `time,status:60,endpoint`. */
  cols?: string;
  /** The call in the panel. */
  call?: string;
  /** `1` while the list is fed by the stream. */
  live?: string;
  /** `36` for the airy rows. */
  row?: string;
  /** How the query is drawn: `chart`, `top`; the list of calls without it. */
  tab?: string;
  /** What the chart or the top list shows. */
  measure?: string;
  /** The field that it is counted by. */
  by?: string;
  /** Words that a list is narrowed to. */
  find?: string;
  /** What a new part of the gateway belongs to: `service:` and its id. */
  of?: string;
  /** The plugin to set up. */
  plugin?: string;
};

const NAMES = ["q", "from", "to", "refresh", "cols", "row", "live", "call", "tab", "measure", "by", "find", "of", "plugin"] as const;

/** Keeps what is known and not empty; a stranger's link cannot put anything else in the state. */
export function readSearch(raw: Record<string, unknown>): Search {
  const search: Search = {};
  for (const name of NAMES) {
    const value = raw[name];
    if (typeof value === "string" && value !== "") search[name] = value;
  }
  return search;
}

export const parseAddress = (text: string): Record<string, string> => Object.fromEntries(new URLSearchParams(text));

/** Like `URLSearchParams`, but what people read in a link stays readable. */
export function formatAddress(search: Record<string, unknown>): string {
  const known = readSearch(search);
  const parts = NAMES.flatMap((name) => {
    const value = known[name];
    return value === undefined ? [] : [`${name}=${encodeURIComponent(value).replace(/%(3A|2F|2C|3E|3C|28|29|2A)/g, (code) => (code === "%3C" || code === "%3E" ? code : decodeURIComponent(code))).replaceAll("%20", "+")}`];
  });
  return parts.length === 0 ? "" : `?${parts.join("&")}`;
}

export type View = {
  search: Search;
  q: string;
  range: TimeRange;
  refresh: number;
  live: boolean;
  /** Changes the view; `replace` leaves no step to go back to. */
  change(changes: Search, options?: { replace?: boolean }): void;
};

export function rangeOf(search: Search): TimeRange {
  const range = { from: search.from ?? DEFAULT_RANGE.from, to: search.to ?? "now" };
  return isRange(range, Date.now(), getSettings().zone) ? range : DEFAULT_RANGE;
}

/** The same range as the two search parameters, left out when it is the default. */
export function rangeSearch(range: TimeRange): Search {
  const usual = range.from === DEFAULT_RANGE.from && range.to === DEFAULT_RANGE.to;
  return { from: usual ? undefined : range.from, to: usual || range.to === "now" ? undefined : range.to };
}

export function useView(): View {
  const search = useSearch({ strict: false }) as Search;
  const navigate = useNavigate();
  const change = useCallback(
    (changes: Search, options?: { replace?: boolean }) => {
      void navigate({ to: ".", search: (before: Search) => readSearch({ ...before, ...changes }), replace: options?.replace } as never);
    },
    [navigate],
  );
  const { from, to } = search;
  const range = useMemo(() => rangeOf({ from, to }), [from, to]);
  return { search, q: search.q ?? "", range, refresh: Number(search.refresh ?? 0), live: search.live === "1", change };
}
