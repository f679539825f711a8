/** Tables of figures by line, and what they can be ordered by. */
import type { FieldValue, Table } from "../../api/types";
import type { LinesData } from "../../charts/Lines";
import { formatDuration, formatShare, formatShort } from "../../lib/numbers";
import { lineKey } from "./cuts";

export type Sort = {
  /** As it stands in a link. */
  key: string;
  name: string;
  ask: string;
  /** What a chart of it draws over time, where that is something else. */
  drawn: string;
  title: string;
  format(value: number): string;
};

const whole = (value: number) => (Number.isInteger(value) ? formatShort(value) : "");
const duration = (value: number) => formatDuration(value);

export const SORTS: Sort[] = [
  { key: "calls", name: "calls", ask: "count", drawn: "count", title: "Calls", format: whole },
  { key: "failed", name: "failed", ask: "error_ratio", drawn: "error_ratio", title: "Failed", format: formatShare },
  { key: "p50", name: "p50", ask: "p50(latency)", drawn: "p50(latency)", title: "Median latency", format: duration },
  { key: "p95", name: "p95", ask: "p95(latency)", drawn: "p95(latency)", title: "Latency, 95th percentile", format: duration },
  { key: "p99", name: "p99", ask: "p99(latency)", drawn: "p99(latency)", title: "Latency, 99th percentile", format: duration },
  { key: "last", name: "last call", ask: "max(time)", drawn: "count", title: "Calls", format: whole },
];

export const sortOf = (key: string | undefined): Sort => SORTS.find((sort) => sort.key === key) ?? SORTS[0]!;

export type Row = { key: string; values: FieldValue[]; count: number; errors: number | null; p50: number | null; p95: number | null; p99: number | null; last: number | null };

const number = (value: unknown): number | null => (typeof value === "number" ? value : null);

/** Rows of `[…fields, …SORTS]`. */
export function readRows(table: Table, width: number): Row[] {
  return table.rows.map((cells) => {
    const values = cells.slice(0, width) as FieldValue[];
    const [count, errors, p50, p95, p99, last] = cells.slice(width);
    return { key: lineKey(values), values, count: number(count) ?? 0, errors: number(errors), p50: number(p50), p95: number(p95), p99: number(p99), last: typeof last === "string" ? Date.parse(last) : null };
  });
}

/** How large a row is by what it is ordered by; 0 for what has no size. */
export function sizeOf(row: Row, sort: Sort): number {
  return (sort.key === "failed" ? row.errors : sort.key === "p50" ? row.p50 : sort.key === "p95" ? row.p95 : sort.key === "p99" ? row.p99 : row.count) ?? 0;
}

/** Whether a row is what is left: calls whose value nobody knows. */
export const isRest = (row: Row): boolean => row.values.at(-1) === null;

/** What has a name first, in its order; what is left after it. */
export const namedFirst = (rows: Row[]): Row[] => [...rows.filter((row) => !isRest(row)), ...rows.filter(isRest)];

/** Rows of `[…fields, measure]` by line. */
export function readFigures(table: Table, width: number): Map<string, number> {
  return new Map(table.rows.map((cells) => [lineKey(cells.slice(0, width) as FieldValue[]), number(cells[width]) ?? 0]));
}

/** Names of callers: rows of `[value, name, count]`, most frequent first. */
export function readAliases(table: Table): Map<string, string> {
  const names = new Map<string, string>();
  for (const [value, name] of table.rows) {
    const key = lineKey([value as FieldValue]);
    if (typeof name === "string" && !names.has(key)) names.set(key, name);
  }
  return names;
}

/** Of the lines, the first one first. */
export const COLORS = ["--accent", "--chart-4xx", "--key", "--chart-5xx", "--chart-2xx", "--chart-3xx"];

/** Lines drawn apart. */
export const MOST_LINES = COLORS.length;

export type Columns = Omit<LinesData, "series">;

/** Rows of `[time, …fields, measure]` as one line for each of `wanted`; without calls in an interval, `empty` stands there. */
export function readSeries(table: Table, columns: Columns, wanted: { key: string; name: string }[], width: number, empty: number | null): LinesData {
  const place = new Map(columns.starts.map((start, at) => [start, at]));
  const series = wanted.map(({ name }, at) => ({ name, color: COLORS[at % COLORS.length]!, values: columns.starts.map(() => empty) }));
  const index = new Map(wanted.map(({ key }, at) => [key, at]));
  for (const cells of table.rows) {
    const at = place.get(Date.parse(String(cells[0])));
    const line = index.get(lineKey(cells.slice(1, width + 1) as FieldValue[]));
    if (at !== undefined && line !== undefined) series[line]!.values[at] = number(cells[width + 1]);
  }
  // An interval that has only just begun would look like a fall, unless there is nothing to fall from: the first calls are to be seen.
  const last = columns.starts.length - 1;
  const hasEarlier = series.some((line) => line.values.slice(0, last).some((value) => value));
  if (empty !== null && last > 3 && hasEarlier && columns.starts[last]! + columns.intervalMs > columns.to) series.forEach((line) => (line.values[last] = null));
  return { ...columns, series };
}
