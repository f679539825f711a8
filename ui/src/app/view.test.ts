import { expect, test } from "vitest";
import { formatAddress, parseAddress, readSearch } from "./view";

test.each([
  { q: 'status:>=500 -path:/health "card declined" user:ä+b&c=d', from: "now-6h", cols: "time,status:60", call: "0192-x" },
  { q: "100% #hash ?x", live: "1" },
  {},
])("a view survives its address: %j", (search) => {
  expect(readSearch(parseAddress(formatAddress(search)))).toEqual(search);
});

test("relative ranges stay readable in the address", () => {
  expect(formatAddress({ q: "status:>=500", from: "now-6h" })).toBe("?q=status:%3E%3D500&from=now-6h");
});

test("what is not part of a view is not taken over", () => {
  expect(readSearch({ q: "x", evil: "1", from: "", call: 5 as never })).toEqual({ q: "x" });
});
