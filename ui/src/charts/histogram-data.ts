/** The histogram answer as stacked columns without holes. */
import type { Explore, HistogramBucket, StatusClass } from "../api/types";

export type Layer = { name: string; classes: StatusClass[]; color: string };

/** From the foot to the top. */
export const LAYERS: Layer[] = [
  { name: "2xx", classes: ["2xx"], color: "--chart-2xx" },
  { name: "3xx", classes: ["3xx"], color: "--chart-3xx" },
  { name: "other", classes: ["1xx", "other"], color: "--chart-none" },
  { name: "4xx", classes: ["4xx"], color: "--chart-4xx" },
  { name: "5xx", classes: ["5xx"], color: "--chart-5xx" },
  { name: "no answer", classes: ["none"], color: "--chart-none" },
];

export type Histogram = {
  intervalMs: number;
  /** Start of each column, in epoch milliseconds. */
  starts: number[];
  /** Per layer, its own count in each column. */
  counts: number[][];
  totals: number[];
  from: number;
  to: number;
};

const MAX_COLUMNS = 2000;

export function histogramOf(answer: Pick<Explore, "from" | "to" | "histogram">): Histogram {
  const { interval_ms: intervalMs, buckets } = answer.histogram;
  const byStart = new Map<number, HistogramBucket>(buckets.map((bucket) => [Date.parse(bucket.start), bucket]));
  const known = [...byStart.keys()].sort((a, b) => a - b);
  const from = Date.parse(answer.from);
  const to = Date.parse(answer.to);
  // Columns are counted from the one the range begins in; the server may have cut its first one at `from`.
  const first = Math.min(known[0] ?? Infinity, Math.floor(from / intervalMs) * intervalMs);
  const starts: number[] = [];
  if (intervalMs > 0 && Number.isFinite(first)) {
    for (let at = first; at < to && starts.length < MAX_COLUMNS; at += intervalMs) starts.push(at);
  }
  const index = (start: number) => Math.min(starts.length - 1, Math.max(0, Math.floor((start - first) / intervalMs)));
  const counts = LAYERS.map(() => starts.map(() => 0));
  for (const [start, bucket] of byStart) {
    if (starts.length === 0) break;
    LAYERS.forEach((layer, at) => {
      for (const one of layer.classes) counts[at]![index(start)]! += bucket.counts[one] ?? 0;
    });
  }
  const totals = starts.map((_, at) => counts.reduce((sum, layer) => sum + layer[at]!, 0));
  return { intervalMs, starts, counts, totals, from, to };
}

/** Running sums from the foot up: what a stacked chart draws. */
export function stacked(counts: number[][]): number[][] {
  const sums: number[][] = [];
  for (const layer of counts) {
    const below = sums.at(-1);
    sums.push(layer.map((count, at) => count + (below?.[at] ?? 0)));
  }
  return sums;
}
