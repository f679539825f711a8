import { describe, expect, test } from "vitest";
import { describeRange, forApi, formatAgo, formatFull, formatInstant, isRange, readRange, resolve, shift, zoomOut } from "./time";

// A Friday.
const NOW = Date.parse("2026-11-20T12:34:56.789Z");

describe("resolve", () => {
  test.each([
    ["now", "2026-11-20T12:34:56.789Z"],
    ["now-6h", "2026-11-20T06:34:56.789Z"],
    ["now-90m", "2026-11-20T11:04:56.789Z"],
    ["now+1d", "2026-11-21T12:34:56.789Z"],
    ["now/d", "2026-11-20T00:00:00.000Z"],
    ["now-1d/d", "2026-11-19T00:00:00.000Z"],
    ["now/w", "2026-11-16T00:00:00.000Z"],
    ["now/h", "2026-11-20T12:00:00.000Z"],
    ["1763642096789", "2025-11-20T12:34:56.789Z"],
    ["2026-11-03", "2026-11-03T00:00:00.000Z"],
    ["2026-11-03 14:00", "2026-11-03T14:00:00.000Z"],
    ["2026-11-03T14:00:05.5+02:00", "2026-11-03T12:00:05.500Z"],
  ])("%s", (expression, expected) => {
    expect(new Date(resolve(expression, NOW, "UTC")!).toISOString()).toBe(expected);
  });

  test.each(["", "soon", "now-6", "now-h", "2026-13-01", "2026-11-03 14", "now - 6h", "2026-11-03 25:00"])("%j is none", (text) => {
    expect(resolve(text, NOW, "UTC")).toBeNull();
  });
});

describe("readRange", () => {
  test.each([
    ["90m", "now-90m", "now"],
    ["last 3 days", "now-3d", "now"],
    ["2 Hours", "now-2h", "now"],
    ["now-6h", "now-6h", "now"],
    ["now-6h to now-1h", "now-6h", "now-1h"],
    ["yesterday", "now-1d/d", "now/d"],
    ["today", "now/d", "now"],
    ["last week", "now-1w/w", "now/w"],
    ["all", "all", "now"],
    ["2026-11-03", "2026-11-03T00:00:00.000Z", "2026-11-04T00:00:00.000Z"],
    ["2026-11-03 14:00 to 15:00", "2026-11-03T14:00:00.000Z", "2026-11-03T15:00:00.000Z"],
    ["2026-11-03 14:00 – 2026-11-04 15:00", "2026-11-03T14:00:00.000Z", "2026-11-04T15:00:00.000Z"],
  ])("%s", (text, from, to) => {
    expect(readRange(text, NOW, "UTC")).toEqual({ from, to });
  });

  test.each(["", "whenever", "15:00 to 14:00", "2026-11-03 15:00 to 14:00", "0", "m"])("%j is none", (text) => {
    expect(readRange(text, NOW, "UTC")).toBeNull();
  });
});

test("relative ranges stay relative in what the API is asked, but for days of the reader's zone", () => {
  expect(forApi({ from: "now-6h", to: "now" }, NOW, "UTC")).toEqual({ from: "now-6h", to: "now" });
  expect(forApi({ from: "now-1d/d", to: "now/d" }, NOW, "UTC")).toEqual({ from: "2026-11-19T00:00:00.000Z", to: "2026-11-20T00:00:00.000Z" });
  expect(forApi({ from: "all", to: "now" }, NOW, "UTC")).toEqual({});
});

test("a shift moves by the width, and back again", () => {
  const hour = { from: "2026-11-03T14:00:00.000Z", to: "2026-11-03T15:00:00.000Z" };
  const earlier = shift(hour, -1, NOW, "UTC");
  expect(earlier).toEqual({ from: "2026-11-03T13:00:00.000Z", to: "2026-11-03T14:00:00.000Z" });
  expect(shift(earlier, 1, NOW, "UTC")).toEqual(hour);
});

test("zooming out doubles the width and keeps «now»", () => {
  expect(zoomOut({ from: "now-6h", to: "now" }, NOW, "UTC")).toEqual({ from: "now-12h", to: "now" });
  expect(zoomOut({ from: "2026-11-03T14:00:00.000Z", to: "2026-11-03T15:00:00.000Z" }, NOW, "UTC")).toEqual({ from: "2026-11-03T13:30:00.000Z", to: "2026-11-03T15:30:00.000Z" });
});

test("a link cannot bring a range that is none", () => {
  expect(isRange({ from: "now-1h", to: "now" }, NOW, "UTC")).toBe(true);
  expect(isRange({ from: "now", to: "now-1h" }, NOW, "UTC")).toBe(false);
  expect(isRange({ from: "<script>", to: "now" }, NOW, "UTC")).toBe(false);
});

test("ranges and instants in words", () => {
  expect(describeRange({ from: "now-6h", to: "now" }, NOW, "UTC")).toBe("Last 6 hours");
  expect(describeRange({ from: "now-90m", to: "now" }, NOW, "UTC")).toBe("Last 90 minutes");
  expect(describeRange({ from: "2026-11-03T14:00:00.000Z", to: "2026-11-03T15:30:00.000Z" }, NOW, "UTC")).toBe("3 Nov 14:00 – 15:30");
  expect(formatInstant(NOW, "UTC", NOW)).toBe("12:34:56.789");
  expect(formatInstant(NOW - 864e5 * 400, "UTC", NOW)).toBe("16 Oct 2025 12:34:56.789");
  expect(formatFull(NOW, "UTC")).toBe("2026-11-20 12:34:56.789 UTC");
  expect(formatAgo(NOW - 3 * 864e5, NOW)).toBe("3 days ago");
});
