import { describe, expect, test } from "vitest";
import { cutOf, findFilter, lineQuery, linesFilter, SCREENS, screenOf, screenQuery } from "./cuts";

const { endpoints, errors, callers } = SCREENS;
const cut = (screen: Parameters<typeof cutOf>[0], key: string) => cutOf(screen, key);

test("every link leads to a screen and a cut; an unknown one to the first", () => {
  expect(screenOf("/errors")).toBe(errors);
  expect(screenOf("/callers")).toBe(callers);
  expect(screenOf("/elsewhere")).toBe(endpoints);
  expect(cut(endpoints, "version").fields).toEqual(["service", "attribute.tyk.api_version"]);
  expect(cutOf(endpoints, "nothing").key).toBe("endpoint");
  for (const screen of Object.values(SCREENS)) expect(new Set(screen.cuts.map((one) => one.key)).size).toBe(screen.cuts.length);
});

describe("the calls of a line", () => {
  test.each([
    ["", endpoints, "endpoint", ["GET", "/users/{id}"], 'method:GET endpoint:"/users/{id}"'],
    ["env:prod", endpoints, "service", ["Widgets"], "env:prod service:Widgets"],
    ["a OR b", endpoints, "service", [null], "(a OR b) -service:*"],
    ["", endpoints, "version", ["Widgets", null], "service:Widgets -attribute.tyk.api_version:*"],
    ["", endpoints, "tag", ["key-1 2"], 'attribute.tyk.tags:"key-1 2"'],
    // The status says already that it failed.
    ["env:prod", errors, "status", [502], "env:prod status:502"],
    ["", errors, "status", [null], "-status:*"],
    ["", errors, "status", [200], `${errors.only} status:200`],
    ["a OR b", errors, "service", ["Widgets"], `(a OR b) ${errors.only} service:Widgets`],
  ] as const)("%j, %o by %s of %j", (q, screen, key, values, expected) => {
    expect(lineQuery(q, screen, cut(screen, key), { values: [...values] })).toBe(expected);
  });

  test("without a query, a screen about everything asks for everything", () => {
    expect(screenQuery("", endpoints)).toBe("");
    expect(screenQuery(" ", errors)).toBe(errors.only);
  });
});

test("lines are asked for by their values, those without one by its absence", () => {
  const lines = [{ values: ["GET", "/a"] }, { values: ["GET", null] }];
  expect(linesFilter(cut(endpoints, "endpoint"), lines)).toEqual({
    and: [{ field: "method", op: "in", values: ["GET"] }, { or: [{ field: "endpoint", op: "in", values: ["/a"] }, { not: { field: "endpoint", op: "exists" } }] }],
  });
  expect(linesFilter(cut(endpoints, "service"), [{ values: [null] }])).toEqual({ not: { field: "service", op: "exists" } });
  expect(linesFilter(cut(endpoints, "service"), [])).toBeUndefined();
});

test("words are found anywhere in a name, in any of its fields; codes are not searched", () => {
  expect(findFilter(cut(endpoints, "service"), " pay ")).toEqual({ field: "service", op: "like", value: "*pay*" });
  expect(findFilter(cut(endpoints, "endpoint"), "/v1/*/items")).toEqual({ or: ["method", "endpoint"].map((field) => ({ field, op: "like", value: "*/v1/*/items*" })) });
  expect(findFilter(cut(endpoints, "service"), "  ")).toBeUndefined();
  expect(findFilter(cut(errors, "status"), "50")).toBeUndefined();
});
