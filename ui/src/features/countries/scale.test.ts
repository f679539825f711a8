import { expect, test } from "vitest";
import { boundsOf, levelOf, LEVELS } from "./scale";
import world from "./world.json";

test("counts are told apart by powers, shares evenly", () => {
  const counts = boundsOf([1, 40, 100_000], "count");
  expect(counts).toEqual([1, 10, 100, 1000, 10_000]);
  expect([0, 1, 9, 10, 99_999, 100_000].map((count) => levelOf(count, counts))).toEqual([0, 1, 1, 2, 5, 5]);
  const shares = boundsOf([0, 0.5, 0.1], "even");
  expect(shares).toEqual([0, 0.1, 0.2, 0.30000000000000004, 0.4]);
  expect([null, 0, 0.1, 0.5].map((share) => levelOf(share, shares))).toEqual([0, 1, 2, 5]);
});

test("one value, or few, have the strongest colour", () => {
  expect(levelOf(7, boundsOf([7, 7], "count"))).toBe(LEVELS);
  const few = boundsOf([1, 2], "count");
  expect(few).toEqual([1, 2]);
  expect([1, 2].map((count) => levelOf(count, few))).toEqual([4, 5]);
  expect(boundsOf([], "count")).toEqual([]);
  expect(levelOf(3, [])).toBe(0);
});

test("the map has every inhabited country once, as an outline or a point inside the box", () => {
  const { width, height, outlines, points } = world;
  expect(Object.keys(outlines).filter((code) => code in points)).toEqual([]);
  for (const code of ["DE", "US", "BR", "IN", "ZA", "AU", "NO", "FR", "XK"]) expect(outlines).toHaveProperty(code);
  for (const code of ["SG", "MT", "HK", "BB"]) expect(points).toHaveProperty(code);
  for (const [code, [x, y]] of Object.entries(points)) expect([code, x! >= 0 && x! <= width && y! >= 0 && y! <= height]).toEqual([code, true]);
  for (const [code, path] of Object.entries(outlines)) expect([code, /^(M\d+ \d+l[-\d ]+z)+$/.test(path)]).toEqual([code, true]);
});
