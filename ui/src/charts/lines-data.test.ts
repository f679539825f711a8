import { expect, test } from "vitest";
import { lonely } from "./lines-data";

test.each<[string, (number | null)[], number[]]>([
  ["the only column", [5], [0]],
  ["the last column", [null, null, 0], [2]],
  ["a column between gaps", [1, 2, null, 3, null, 4, 5], [3]],
  ["no column of a line", [1, 2, null, 3, 4], []],
  ["no column without a value", [null, null], []],
  ["nothing of nothing", [], []],
])("%s stands alone", (_, values, expected) => {
  expect(lonely(values)).toEqual(expected);
});
