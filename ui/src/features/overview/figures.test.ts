import { expect, test } from "vitest";
import type { Table } from "../../api/types";
import { changeOf, readLines, readTop, readTotals } from "./figures";

const table = (rows: unknown[][]): Table => ({ columns: [], rows, more: false, approximate: false, took_ms: 1 });

test("a time without calls has no figures, not zeros", () => {
  expect(readTotals(table([]))).toEqual({ count: 0, errors: null, p50: null, p95: null, p99: null });
  expect(readTotals(table([[7, 0.5, 1, 2, null]]))).toEqual({ count: 7, errors: 0.5, p50: 1, p95: 2, p99: null });
  expect(readTop(table([[null, 3, 0, null]]))).toEqual([{ value: null, count: 3, errors: 0, p95: null }]);
});

test("percentiles have a column for every interval; those without calls are empty", () => {
  const at = (minute: number) => `2026-11-21T12:0${minute}:00Z`;
  const lines = readLines(table([[at(1), 5, 9], [at(3), 6, null]]), ["p50", "p95"], { from: Date.parse("2026-11-21T12:00:30Z"), to: Date.parse(at(4)), intervalMs: 60_000 });
  expect(lines.starts.map((start) => new Date(start).toISOString().slice(14, 16))).toEqual(["00", "01", "02", "03"]);
  expect(lines.series.map((line) => line.values)).toEqual([[null, 5, null, 6], [null, 9, null, null]]);
});

test.each([
  [110, 100, "count", "+10 %", "plain"],
  [2000, 100, "count", "× 20", "plain"],
  [5, 0, "count", "none before", "plain"],
  [0.031, 0.011, "share", "+2.0 points", "worse"],
  [0.011, 0.031, "share", "−2.0 points", "better"],
  [0.0101, 0.0099, "share", "as before", "plain"],
  [150, 100, "duration", "+50 %", "worse"],
  [50, 100, "duration", "−50 %", "better"],
  [104, 100, "duration", "+4 %", "plain"],
] as const)("%d after %d of %s is %s", (now, before, kind, text, tone) => {
  expect(changeOf(now, before, kind)).toEqual({ text, tone });
});

test("nothing is compared with nothing", () => {
  expect(changeOf(null, 3, "duration")).toBeNull();
  expect(changeOf(3, null, "count")).toBeNull();
  expect(changeOf(0, 0, "count")).toBeNull();
});
