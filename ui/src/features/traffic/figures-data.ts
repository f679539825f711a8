/** What the chart and the top list can show, and how tables become lines. */
import type { FieldValue, Table } from "../../api/types";
import type { LinesData } from "../../charts/Lines";
import { formatBytes, formatDuration, formatShare, formatShort } from "../../lib/numbers";

export type Measure = {
  /** As it stands in a link. */
  key: string;
  name: string;
  /** What is asked where there is room for one figure only. */
  single: string;
  lines: { name: string; ask: string }[];
  format(value: number): string;
};

export const MEASURES: Measure[] = [
  { key: "latency", name: "Latency", single: "p95(latency)", lines: [{ name: "p50", ask: "p50(latency)" }, { name: "p95", ask: "p95(latency)" }, { name: "p99", ask: "p99(latency)" }], format: (value) => formatDuration(value) },
  { key: "calls", name: "Calls", single: "count", lines: [{ name: "calls", ask: "count" }], format: (value) => (Number.isInteger(value) ? formatShort(value) : "") },
  { key: "failed", name: "Failed", single: "error_ratio", lines: [{ name: "failed", ask: "error_ratio" }], format: (value) => formatShare(value) },
  { key: "bytes", name: "Bytes sent", single: "sum(size)", lines: [{ name: "sent", ask: "sum(size)" }], format: (value) => formatBytes(Math.round(value)) },
];

export const measureOf = (key: string | undefined): Measure => MEASURES.find((measure) => measure.key === key) ?? MEASURES[0]!;

const COLORS = ["--chart-3xx", "--accent", "--key", "--chart-4xx", "--chart-5xx", "--chart-2xx"];

export function columnsOf(from: number, to: number, intervalMs: number): Omit<LinesData, "series"> {
  const starts: number[] = [];
  for (let at = Math.floor(from / intervalMs) * intervalMs; at < to && starts.length < 2000; at += intervalMs) starts.push(at);
  return { intervalMs, starts, from, to };
}

/** Rows of `[time, …measures]` as one line for each name; with values, rows of `[time, value, measure]` as one for each value. */
export function splitLines(table: Table, starts: number[], names: string[], values: FieldValue[] | null): LinesData["series"] {
  const place = new Map(starts.map((start, index) => [start, index]));
  const series = (values?.map(String) ?? names).map((name, index) => ({ name, color: COLORS[index % COLORS.length]!, values: starts.map((): number | null => null) }));
  const byName = new Map(series.map((line) => [line.name, line]));
  for (const row of table.rows) {
    const at = place.get(Date.parse(String(row[0])));
    if (at === undefined) continue;
    const put = (line: (typeof series)[number] | undefined, cell: unknown) => {
      if (line && typeof cell === "number") line.values[at] = cell;
    };
    if (values) put(byName.get(String(row[1])), row[2]);
    else series.forEach((line, index) => put(line, row[index + 1]));
  }
  return series;
}
