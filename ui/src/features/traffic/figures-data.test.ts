import { expect, test } from "vitest";
import type { Table } from "../../api/types";
import { columnsOf, measureOf, splitLines } from "./figures-data";

const table = (rows: unknown[][]): Table => ({ columns: [], rows, more: false, approximate: false, took_ms: 1 });
const at = (second: number) => new Date(Date.UTC(2026, 10, 21, 12, 0, second)).toISOString();
const { starts } = columnsOf(Date.parse(at(5)), Date.parse(at(40)), 10_000);

test("columns begin where their interval does, and cover the range", () => {
  expect(starts.map((start) => new Date(start).toISOString())).toEqual([at(0), at(10), at(20), at(30)]);
  expect(columnsOf(0, 1e12, 1000).starts).toHaveLength(2000);
});

test("measures become one line each", () => {
  const series = splitLines(table([[at(0), 1, 2], [at(20), 3, null], [at(50), 9, 9]]), starts, ["p50", "p95"], null);
  expect(series.map((line) => [line.name, line.values])).toEqual([["p50", [1, null, 3, null]], ["p95", [2, null, null, null]]]);
});

test("values of a field become one line each, in the order of their frequency", () => {
  const series = splitLines(table([[at(0), 500, 0.5], [at(0), 200, 0.1], [at(10), 200, 0.2], [at(10), 418, 0.9]]), starts, [], [200, 500]);
  expect(series.map((line) => [line.name, line.values])).toEqual([["200", [0.1, 0.2, null, null]], ["500", [0.5, null, null, null]]]);
  expect(new Set(series.map((line) => line.color)).size).toBe(2);
});

test("a stranger's link shows the usual measure", () => {
  expect(measureOf("drop table").key).toBe("latency");
  expect(measureOf(undefined).key).toBe("latency");
  expect(measureOf("bytes").single).toBe("sum(size)");
});
