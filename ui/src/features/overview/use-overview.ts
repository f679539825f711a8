/** The questions of the overview. Each goes out on its own: the slowest never delays the others. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { aggregate, explore } from "../../api/client";
import { useRefreshCount } from "../../app/refresh";
import { getSettings } from "../../app/settings";
import { forApi, shift, type TimeRange } from "../../lib/time";
import { readLines, readTop, readTotals, TOP_MEASURES, TOTAL_MEASURES } from "./figures";

const BUCKETS = 60;
const usual = { placeholderData: keepPreviousData, staleTime: 30_000, gcTime: 60_000 } as const;

function useKey(q: string, range: TimeRange) {
  const count = useRefreshCount();
  return [q, range.from, range.to, getSettings().zone, count] as const;
}

/** Calls over time by status class, and how many there are. */
export function useActivity(q: string, range: TimeRange) {
  const key = useKey(q, range);
  return useQuery({ queryKey: ["overview", "activity", ...key], queryFn: ({ signal }) => explore({ q, ...forApi(range, Date.now(), getSettings().zone), limit: 1, buckets: BUCKETS }, signal), ...usual });
}

export function useTotals(q: string, range: TimeRange, steps: 0 | -1) {
  const key = useKey(q, range);
  const { zone } = getSettings();
  return useQuery({
    queryKey: ["overview", "totals", steps, ...key],
    queryFn: async ({ signal }) => readTotals(await aggregate({ q, ...forApi(steps === 0 ? range : shift(range, steps, Date.now(), zone), Date.now(), zone), measures: TOTAL_MEASURES }, signal)),
    // All time has no time before it.
    enabled: steps === 0 || range.from !== "all",
    ...usual,
  });
}

/** Percentiles of the latency, in the columns of the activity. */
export function useLatency(q: string, columns: { from: string; to: string; intervalMs: number } | null) {
  return useQuery({
    queryKey: ["overview", "latency", q, columns],
    queryFn: async ({ signal }) => {
      const { from, to, intervalMs } = columns!;
      const table = await aggregate({ q, from, to, interval: `${Math.max(1, Math.round(intervalMs / 1000))}s`, measures: ["p50(latency)", "p95(latency)", "p99(latency)"], limit: 2000 }, signal);
      return readLines(table, ["p50", "p95", "p99"], { from: Date.parse(from), to: Date.parse(to), intervalMs });
    },
    enabled: columns !== null && columns.intervalMs >= 1000,
    ...usual,
  });
}

export function useTop(q: string, range: TimeRange, field: string, order: string, limit: number) {
  const key = useKey(q, range);
  return useQuery({
    queryKey: ["overview", "top", field, order, limit, ...key],
    queryFn: async ({ signal }) => {
      const table = await aggregate({ q, ...forApi(range, Date.now(), getSettings().zone), group_by: [field], measures: TOP_MEASURES, order_by: order, limit }, signal);
      return { rows: readTop(table), more: table.more, approximate: table.approximate };
    },
    ...usual,
  });
}
