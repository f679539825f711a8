import { expect, test } from "vitest";
import type { Body } from "../../api/types";
import { bodySentence, findAll, isImage, kindOf, queryParameters, textOf, wrapLines } from "./body-data";
import { segmentsOf } from "./Waterfall";

const body = (changes: Partial<Body>): Body => ({ size: 10, captured: "whole", reason: null, captured_size: 10, media_type: null, coding: "", ...changes });

test("each thing that can be missing has its own sentence", () => {
  const sentences = [
    body({ size: 0, captured_size: 0 }),
    ...["off", "budget", "stream", "too_large", "unmaskable", "unknown"].map((reason) => body({ captured: "no", captured_size: 0, size: 5_000_000, reason })),
    body({ captured: "cut", size: 5_000_000, captured_size: 65_536 }),
    body({ captured: "cut", reason: "stream", size: null, captured_size: 65_536 }),
  ].map((one) => bodySentence(one, "response")?.text);
  expect(new Set(sentences).size).toBe(sentences.length);
  expect(sentences).not.toContain(undefined);
  expect(bodySentence(body({}), "request")).toBeNull();
});

test("kinds by media type and content", () => {
  const kind = (media_type: string | null, text: string | null) => kindOf(body({ media_type }), text);
  expect(kind("application/json; charset=utf-8", "{}")).toBe("json");
  expect(kind("application/problem+json", "{}")).toBe("json");
  expect(kind(null, " [1]")).toBe("json");
  expect(kind("text/html", "{<b>")).toBe("text");
  expect(kind("text/plain", "a\u0000b")).toBe("binary");
  expect(kind("application/octet-stream", null)).toBe("binary");
  expect(kind("image/png", null)).toBe("image");
  // A drawing can carry scripts: it is text here.
  expect(isImage(body({ media_type: "image/svg+xml" }))).toBe(false);
});

test("a character cut in two is left out of a cut body, and makes a whole one binary", () => {
  const bytes = new TextEncoder().encode("aé").subarray(0, 2);
  expect(textOf(bytes, true)).toBe("a");
  expect(textOf(bytes, false)).toBeNull();
});

test.each([["", 40], ["one", 40], ["a\nb\n", 40], ["x".repeat(100), 40], [`${"y".repeat(39)}😀z`, 40], ["\n\n", 40]])("wrapping loses nothing: %j", (text, width) => {
  const rows = wrapLines(text, width);
  expect(rows.map((row) => (row.line > 1 ? "\n" : "") + text.slice(row.start, row.end)).join("")).toBe(text);
  for (const row of rows) {
    expect(row.end - row.start).toBeLessThanOrEqual(width);
    expect(text.slice(row.start, row.end)).not.toMatch(/[\ud800-\udbff]$/);
  }
});

test("finds without case", () => {
  expect(findAll("Card card CARD", "card")).toEqual([0, 5, 10]);
  expect(findAll("abc", "")).toEqual([]);
});

test("query parameters are decoded, and bad ones kept", () => {
  expect(queryParameters("q=caf%C3%A9+x&flag&bad=%zz&a=b=c")).toEqual([
    { name: "q", value: "café x" }, { name: "flag", value: "" }, { name: "bad", value: "%zz" }, { name: "a", value: "b=c" },
  ]);
});

test("phases lie end to end, TLS inside connect", () => {
  const segments = segmentsOf({ blocked: 1, dns: null, connect: 10, tls: 6, send: 0, wait: 20, receive: 5 });
  expect(segments.map((segment) => [segment.key, segment.from])).toEqual([["blocked", 0], ["connect", 1], ["tls", 5], ["wait", 11], ["receive", 31]]);
});
