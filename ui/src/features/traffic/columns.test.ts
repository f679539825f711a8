import { expect, test } from "vitest";
import { formatColumns, gridTemplate, readColumns, withoutPort } from "./columns";

test("a choice of columns survives its link", () => {
  const text = "status:90,time,endpoint,size";
  expect(formatColumns(readColumns(text, "wide"))).toBe(text);
});

test("what a link cannot know is left out", () => {
  expect(readColumns("nonsense,time,time,status:-5,endpoint:9999999", "wide").map((column) => [column.key, column.fixed])).toEqual([["time", false], ["status", false], ["endpoint", false]]);
  expect(readColumns("nonsense", "wide").length).toBeGreaterThan(3);
});

test("one column always takes the room that is left", () => {
  for (const text of ["time,endpoint,size", "time,status", "endpoint:300,time"]) expect(gridTemplate(readColumns(text, "wide")).template).toContain("1fr");
});

test("hosts are filtered without their port", () => {
  expect(["a.example:8080", "a.example", "[::1]:80", "::1"].map(withoutPort)).toEqual(["a.example", "a.example", "[::1]", "::1"]);
});
