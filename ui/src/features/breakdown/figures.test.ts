import { expect, test } from "vitest";
import type { Table } from "../../api/types";
import { lineKey } from "./cuts";
import { namedFirst, readAliases, readFigures, readRows, readSeries, sizeOf, sortOf } from "./figures";

const table = (rows: unknown[][]): Table => ({ columns: [], rows, more: false, approximate: false, took_ms: 1 });

test("rows have a key of all their values, and no figure is not zero", () => {
  const [row, bare] = readRows(table([["GET", "/a", 3, 0.5, 1, 2, 4, "2026-11-21T12:00:00Z"], [null, "/a", 1, 0, null, null, null, null]]), 2);
  expect(row).toEqual({ key: '["GET","/a"]', values: ["GET", "/a"], count: 3, errors: 0.5, p50: 1, p95: 2, p99: 4, last: Date.UTC(2026, 10, 21, 12) });
  expect(bare).toMatchObject({ key: '[null,"/a"]', errors: 0, p50: null, last: null });
  expect(["calls", "failed", "p99", "last"].map((key) => sizeOf(row!, sortOf(key)))).toEqual([3, 0.5, 4, 3]);
  expect(sizeOf(bare!, sortOf("p95"))).toBe(0);
  expect(sortOf("nonsense").key).toBe("calls");
});

test("a line has a column for every interval, and lines that nobody asked for are left out", () => {
  const at = (minute: number) => Date.UTC(2026, 10, 21, 12, minute);
  const iso = (minute: number) => new Date(at(minute)).toISOString();
  const columns = { intervalMs: 60_000, starts: [at(0), at(1), at(2)], from: at(0), to: at(3) };
  const wanted = [{ key: lineKey(["GET", "/b"]), name: "GET /b" }, { key: lineKey(["GET", "/a"]), name: "GET /a" }];
  const answer = table([[iso(0), "GET", "/a", 5], [iso(2), "GET", "/b", 7], [iso(1), "PUT", "/a", 9], [iso(9), "GET", "/a", 9]]);
  expect(readSeries(answer, columns, wanted, 2, 0).series.map((line) => [line.name, line.values])).toEqual([["GET /b", [0, 0, 7]], ["GET /a", [5, 0, 0]]]);
  expect(readSeries(answer, columns, wanted, 2, null).series[0]!.values).toEqual([null, null, 7]);
});

test("what has no name comes after what has one", () => {
  const rows = readRows(table([[null, 9], ["b", 5], ["a", 3]].map(([name, count]) => ["GET", name, count, 0, null, null, null, null])), 2);
  expect(namedFirst(rows).map((row) => row.values[1])).toEqual(["b", "a", null]);
});

test("the first calls are drawn although their interval is not over", () => {
  const starts = [0, 60_000, 120_000, 180_000, 240_000];
  const answer = table([[new Date(240_000).toISOString(), "a", 2]]);
  const line = readSeries(answer, { intervalMs: 60_000, starts, from: 0, to: 250_000 }, [{ key: lineKey(["a"]), name: "a" }], 1, 0).series[0]!;
  expect(line.values).toEqual([0, 0, 0, 0, 2]);
});

test("counts of an interval that is not over are not drawn, its percentiles are", () => {
  const starts = [0, 60_000, 120_000, 180_000, 240_000];
  const answer = table(starts.map((start) => [new Date(start).toISOString(), "a", 2]));
  const read = (to: number, empty: number | null) => readSeries(answer, { intervalMs: 60_000, starts, from: 0, to }, [{ key: lineKey(["a"]), name: "a" }], 1, empty).series[0]!.values.at(-1);
  expect([read(250_000, 0), read(300_000, 0), read(250_000, null)]).toEqual([null, 2, 2]);
});

test("figures and names are found by line; the most frequent name stands", () => {
  expect(readFigures(table([["DE", 3], [null, 1]]), 1).get(lineKey([null]))).toBe(1);
  expect(readAliases(table([["k1", "team-blue", 9], ["k1", "old", 2], ["k2", null, 1]]))).toEqual(new Map([[lineKey(["k1"]), "team-blue"]]));
});
