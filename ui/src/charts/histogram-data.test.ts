import { expect, test } from "vitest";
import { histogramOf, LAYERS, stacked } from "./histogram-data";

const none = { "1xx": 0, "2xx": 0, "3xx": 0, "4xx": 0, "5xx": 0, other: 0, none: 0 };
const at = (minute: number) => new Date(Date.UTC(2026, 10, 20, 12, minute)).toISOString();

test("columns have no holes, and every call is in one of them", () => {
  const data = histogramOf({
    from: at(0), to: at(5),
    histogram: { interval_ms: 60_000, buckets: [{ start: at(1), counts: { ...none, "2xx": 5, "5xx": 2, "1xx": 1 } }, { start: at(4), counts: { ...none, none: 3 } }] },
  });
  expect(data.starts).toHaveLength(5);
  expect(data.totals).toEqual([0, 8, 0, 0, 3]);
  expect(data.counts[LAYERS.findIndex((layer) => layer.name === "other")]![1]).toBe(1);
});

test("the first column may begin before the range", () => {
  const data = histogramOf({ from: at(1), to: at(6), histogram: { interval_ms: 300_000, buckets: [{ start: at(0), counts: { ...none, "2xx": 4 } }, { start: at(5), counts: { ...none, "2xx": 1 } }] } });
  expect(data.totals).toEqual([4, 1]);
});

test("an empty answer has no columns to trip over", () => {
  const data = histogramOf({ from: at(0), to: at(0), histogram: { interval_ms: 1000, buckets: [] } });
  expect(data.totals).toEqual([]);
});

test("stacked sums grow from the foot", () => {
  expect(stacked([[1, 2], [3, 0], [0, 5]])).toEqual([[1, 2], [4, 2], [4, 7]]);
});
