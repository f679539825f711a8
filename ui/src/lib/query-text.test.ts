import { describe, expect, test } from "vitest";
import { addFilter, chips, filterText, quote, removeChip, tokenize, unquote } from "./query-text";

describe("tokens", () => {
  test.each([
    "", "status:>=500", '-path:/health "card declined"', "a AND (b OR NOT c)", "method:(GET POST) -(x y)", 'response.body.error.code:"a \\" b"', "status:[400 TO 499]", '"never closed', "field:(never closed", "-", ":", "a:b:c",
  ])("cover the whole text: %j", (text) => {
    expect(tokenize(text).map((token) => text.slice(token.start, token.end)).join("")).toBe(text);
  });

  test("know field, sign and value", () => {
    const [term] = tokenize('-response.body.error.code:"declined now"');
    expect(term).toMatchObject({ kind: "term", negated: true, field: "response.body.error.code" });
    expect('-response.body.error.code:"declined now"'.slice(term!.valueStart)).toBe('"declined now"');
  });
});

describe("chips", () => {
  test("are the parts of a query in words", () => {
    expect(chips('status:>=500 -path:/health "card declined" method:(GET POST) user:*').map((chip) => [chip.label, chip.negated])).toEqual([
      ["status ≥ 500", false], ["path = /health", true], ["text “card declined”", false], ["method in (GET POST)", false], ["user exists", false],
    ]);
  });

  test("a query with OR is one part, a group is one part", () => {
    expect(chips("a OR b")).toHaveLength(1);
    expect(chips("status:500 (a OR b)").map((chip) => chip.label)).toEqual(["status = 500", "(a OR b)"]);
    expect(chips("NOT status:500 -(a b)").map((chip) => chip.negated)).toEqual([true, true]);
  });

  test.each([
    ["status:500 path:/a", 0, "path:/a"],
    ["status:500 path:/a", 1, "status:500"],
    ["status:500 AND path:/a AND c", 1, "status:500 AND c"],
    ["status:500 AND path:/a", 0, "path:/a"],
    ["-(a b) c", 0, "c"],
  ])("%s without part %i", (text, at, expected) => {
    expect(removeChip(text, chips(text)[at]!)).toBe(expected);
  });
});

describe("filters", () => {
  test.each(["GET", "/v1/charges/{id}", "card declined", 'say "hi"', "a\\b", "", "-5", ">500", "x*", "AND", "a:b", "ana@example.com", "(x)", "ü", "u_1"])("a value written and read again is itself: %j", (value) => {
    const text = `field:${quote(value)}`;
    const tokens = tokenize(text);
    expect(tokens).toHaveLength(1);
    expect(unquote(text.slice(tokens[0]!.valueStart, tokens[0]!.end))).toBe(value);
  });

  test("add, are not added twice, and replace their opposite", () => {
    const one = addFilter("", "status", 500, false);
    expect(one).toBe("status:500");
    expect(addFilter(one, "status", 500, false)).toBe(one);
    expect(addFilter(one, "status", 500, true)).toBe("-status:500");
    expect(addFilter("a OR b", "status", 500, false)).toBe("(a OR b) status:500");
    expect(addFilter("x (a OR b)", "method", "GET", true)).toBe("x (a OR b) -method:GET");
    expect(filterText("user", null, false)).toBe("-user:*");
    expect(filterText("user", null, true)).toBe("user:*");
  });
});
