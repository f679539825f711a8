/** Tables of figures as the overview reads them. */
import type { FieldValue, Table } from "../../api/types";
import type { LinesData } from "../../charts/Lines";

export type Totals = { count: number; errors: number | null; p50: number | null; p95: number | null; p99: number | null };

export const TOTAL_MEASURES = ["count", "error_ratio", "p50(latency)", "p95(latency)", "p99(latency)"];

const number = (value: unknown): number | null => (typeof value === "number" ? value : null);

/** The one row of a question without groups; a range without calls has none. */
export function readTotals(table: Table): Totals {
  const [count, errors, p50, p95, p99] = (table.rows[0] ?? []).map(number);
  return { count: count ?? 0, errors: errors ?? null, p50: p50 ?? null, p95: p95 ?? null, p99: p99 ?? null };
}

export type TopRow = { value: FieldValue; count: number; errors: number | null; p95: number | null };

export const TOP_MEASURES = ["count", "error_ratio", "p95(latency)"];

export function readTop(table: Table): TopRow[] {
  return table.rows.map(([value, count, errors, p95]) => ({ value: value as FieldValue, count: number(count) ?? 0, errors: number(errors), p95: number(p95) }));
}

const COLORS = ["--chart-3xx", "--accent", "--key"];

/** Percentiles over time without holes in the columns: where no call was, there is no line. */
export function readLines(table: Table, names: string[], range: { from: number; to: number; intervalMs: number }): LinesData {
  const { from, to, intervalMs } = range;
  const rows = new Map(table.rows.map((row) => [Date.parse(String(row[0])), row]));
  const starts: number[] = [];
  const first = Math.floor(from / intervalMs) * intervalMs;
  for (let at = first; at < to && starts.length < 2000; at += intervalMs) starts.push(at);
  const at = (index: number) => starts.map((start) => number(rows.get(start)?.[index]));
  return { intervalMs, starts, from, to, series: names.map((name, index) => ({ name, color: COLORS[index] ?? "--accent", values: at(index + 1) })) };
}

export type Change = { text: string; /** Whether it got better or worse, where that can be said. */ tone: "better" | "worse" | "plain" };

/** How a figure stands against the period before. Errors and latency get worse when they rise. */
export function changeOf(now: number | null, before: number | null, kind: "count" | "share" | "duration"): Change | null {
  if (now === null || before === null) return null;
  if (kind === "share") {
    const points = (now - before) * 100;
    if (Math.abs(points) < 0.05) return { text: "as before", tone: "plain" };
    return { text: `${points > 0 ? "+" : "−"}${Math.abs(points).toFixed(1)} points`, tone: points > 0 ? "worse" : "better" };
  }
  if (before === 0) return now === 0 ? null : { text: "none before", tone: "plain" };
  const share = now / before - 1;
  if (Math.abs(share) < 0.01) return { text: "as before", tone: "plain" };
  const text = share > 9 ? `× ${(share + 1).toFixed(0)}` : `${share > 0 ? "+" : "−"}${Math.abs(share * 100).toFixed(0)} %`;
  return { text, tone: kind === "count" ? "plain" : share > 0.1 ? "worse" : share < -0.1 ? "better" : "plain" };
}
