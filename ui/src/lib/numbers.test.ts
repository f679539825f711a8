import { expect, test } from "vitest";
import { formatBytes, formatCount, formatDuration, formatInterval, formatShare, formatShort, formatTotal } from "./numbers";

test.each([[null, "–"], [0, "0 ms"], [0.05, "50 µs"], [0.9996, "1 ms"], [1, "1 ms"], [9.94, "9.9 ms"], [88.4, "88 ms"], [999.4, "999 ms"], [1210, "1.21 s"], [12_340, "12.3 s"], [59_994, "60.0 s"], [125_000, "2 min 5 s"], [7_260_000, "2 h 1 min"]])("duration %s is %s", (value, text) => {
  expect(formatDuration(value as number | null)).toBe(text);
});

test.each([[null, "–"], [0, "0 B"], [912, "912 B"], [3100, "3.1 KB"], [12_500, "13 KB"], [999_900, "1.0 MB"], [5e12, "5.0 TB"]])("size %s is %s", (value, text) => {
  expect(formatBytes(value as number | null)).toBe(text);
});

test.each([[812, "812"], [9442, "9,442"], [10_813, "10.8 k"], [1_234_567, "1.23 M"], [2e9, "2 G"]])("count %s is short %s", (value, text) => {
  expect(formatShort(value)).toBe(text);
});

test("totals say whether they are exact", () => {
  expect(formatTotal({ value: 1204, relation: "eq" })).toBe("1,204 calls");
  expect(formatTotal({ value: 1, relation: "eq" })).toBe("1 call");
  expect(formatTotal({ value: 1_200_000, relation: "approx" })).toBe("≈ 1,200,000 calls");
  expect(formatCount(0)).toBe("0");
});

test("shares and intervals", () => {
  expect([0, 0.0001, 0.034, 0.5].map(formatShare)).toEqual(["0 %", "< 0.1 %", "3.4 %", "50 %"]);
  expect([1000, 30_000, 60_000, 21_600_000, 86_400_000].map(formatInterval)).toEqual(["second", "30 s", "minute", "6 h", "day"]);
});
