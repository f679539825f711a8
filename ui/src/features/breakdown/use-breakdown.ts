/** The questions of a breakdown. Each goes out on its own: the slowest never delays the others. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { aggregate } from "../../api/client";
import { useRefreshCount } from "../../app/refresh";
import { getSettings } from "../../app/settings";
import { forApi, shift, type TimeRange } from "../../lib/time";
import { columnsOf } from "../traffic/figures-data";
import { both, findFilter, linesFilter, type Cut, type Line } from "./cuts";
import { MOST_LINES, namedFirst, readAliases, readFigures, readRows, readSeries, SORTS, type Row, type Sort } from "./figures";

const usual = { placeholderData: keepPreviousData, staleTime: 30_000, gcTime: 60_000 } as const;

export type Rows = { rows: Row[]; more: boolean; approximate: boolean };

export function useRows(q: string, range: TimeRange, cut: Cut, sort: Sort, find: string, limit: number) {
  const count = useRefreshCount();
  const { zone } = getSettings();
  return useQuery({
    queryKey: ["breakdown", "rows", cut.fields, sort.key, find, limit, q, range.from, range.to, zone, count],
    queryFn: async ({ signal }): Promise<Rows> => {
      const table = await aggregate({ q, ...forApi(range, Date.now(), zone), filter: findFilter(cut, find), group_by: cut.fields, measures: SORTS.map((one) => one.ask), order_by: sort.ask, limit }, signal);
      return { rows: namedFirst(readRows(table, cut.fields.length)), more: table.more, approximate: table.approximate };
    },
    ...usual,
  });
}

/** How often each of these was called in the period before; all time has none. */
export function useBefore(q: string, range: TimeRange, cut: Cut, lines: Line[] | undefined) {
  const count = useRefreshCount();
  const { zone } = getSettings();
  const keys = lines?.map((line) => line.values);
  return useQuery({
    queryKey: ["breakdown", "before", cut.fields, keys, q, range.from, range.to, zone, count],
    queryFn: async ({ signal }) => {
      const before = forApi(shift(range, -1, Date.now(), zone), Date.now(), zone);
      const table = await aggregate({ q, ...before, filter: linesFilter(cut, lines!), group_by: cut.fields, measures: ["count"], limit: 10_000 }, signal);
      return readFigures(table, cut.fields.length);
    },
    enabled: range.from !== "all" && lines !== undefined && lines.length > 0,
    staleTime: 30_000,
    gcTime: 60_000,
  });
}

/** Names that callers have beside their key. */
export function useAliases(q: string, range: TimeRange, cut: Cut, lines: Line[] | undefined) {
  const { zone } = getSettings();
  const keys = lines?.map((line) => line.values);
  return useQuery({
    queryKey: ["breakdown", "aliases", cut.fields, keys, q, range.from, range.to, zone],
    queryFn: async ({ signal }) => {
      const filter = both(linesFilter(cut, lines!), { field: cut.alias!, op: "exists" });
      return readAliases(await aggregate({ q, ...forApi(range, Date.now(), zone), filter, group_by: [cut.fields[0], cut.alias!], measures: ["count"], limit: 1000 }, signal));
    },
    enabled: cut.alias !== undefined && lines !== undefined && lines.length > 0,
    staleTime: 30_000,
    gcTime: 60_000,
  });
}

/** What the first lines did over time, in the columns of the activity. */
export function useOverTime(q: string, columns: { from: string; to: string; intervalMs: number } | null, cut: Cut, sort: Sort, rows: Row[] | undefined, nameOf: (row: Row) => string) {
  const lines = rows?.slice(0, MOST_LINES);
  return useQuery({
    queryKey: ["breakdown", "time", cut.fields, sort.drawn, lines?.map((row) => row.key), q, columns],
    queryFn: async ({ signal }) => {
      const { from, to, intervalMs } = columns!;
      const table = await aggregate({ q, from, to, interval: `${Math.max(1, Math.round(intervalMs / 1000))}s`, filter: linesFilter(cut, lines!), group_by: cut.fields, measures: [sort.drawn], limit: 10_000 }, signal);
      const wanted = lines!.map((row) => ({ key: row.key, name: nameOf(row) }));
      return readSeries(table, columnsOf(Date.parse(from), Date.parse(to), intervalMs), wanted, cut.fields.length, sort.drawn === "count" ? 0 : null);
    },
    enabled: columns !== null && columns.intervalMs >= 1000 && lines !== undefined && lines.length > 0,
    ...usual,
  });
}
