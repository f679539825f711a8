import { describe, expect, test } from "vitest";
import { fieldPath, findNodes, JsonError, keyOf, NodeKind, openRows, parseTape, valueOf, type JsonTape } from "./json-tape";

/** The value the tape stands for, to compare with the platform's own reader. */
function toValue(tape: JsonTape, node = 0): unknown {
  const kind = tape.kind[node];
  if (kind !== NodeKind.Object && kind !== NodeKind.Array) return JSON.parse(tape.text.slice(tape.start[node], tape.end[node]));
  const members: [string | null, unknown][] = [];
  for (let at = node + 1; at < tape.next[node]!; at = tape.next[at]!) members.push([keyOf(tape, at), toValue(tape, at)]);
  return kind === NodeKind.Array ? members.map(([, value]) => value) : Object.fromEntries(members);
}

describe("reads what JSON.parse reads", () => {
  test.each(["{}", "[]", "1", '"x"', "null", ' {"a" : [1, 2.5e3, -0] , "b": {"c": true, "d": [[], {}]}, "e": "q\\"\\\\" } ', '["\\u0041\\n", "", {"": 1}]', '{"a":{"b":{"c":[1,[2,[3]]]}}}'])("%s", (text) => {
    expect(toValue(parseTape(text))).toEqual(JSON.parse(text));
  });

  test.each(["", "{", "[1,]", '{"a"}', '{"a":}', "[1 2]", "tru", '"open', "{1:2}", "[1]]", "01", "{'a':1}", '"\\"'])("refuses %j", (text) => {
    expect(() => parseTape(text)).toThrow(JsonError);
  });
});

test("numbers keep their digits, members their order and repetitions", () => {
  const tape = parseTape('{"b":12345678901234567890,"1":1.10,"b":2}');
  expect([1, 2, 3].map((node) => [keyOf(tape, node), valueOf(tape, node)])).toEqual([["b", "12345678901234567890"], ["1", "1.10"], ["b", "2"]]);
});

test("paths are written as query fields", () => {
  const tape = parseTape('{"error":{"codes":[{"we.ird":1}]}}');
  expect(fieldPath(tape, tape.count - 1)).toBe("error.codes.we\\.ird");
});

test("closed nodes hide what they hold; found nodes are names and values", () => {
  const tape = parseTape('{"a":{"b":1},"c":[true,"Needle"],"needle":0}');
  expect(openRows(tape, () => true)).toHaveLength(tape.count);
  expect(openRows(tape, (node) => node === 0)).toEqual([0, 1, 3, 6]);
  expect(findNodes(tape, "needle")).toEqual([5, 6]);
});

test("deep and large documents are read without the call stack", () => {
  expect(() => parseTape("[".repeat(100_000))).toThrow("nested too deeply");
  const large = JSON.stringify(Array.from({ length: 50_000 }, (_, at) => ({ id: at, text: "x".repeat(20) })));
  expect(parseTape(large).count).toBe(150_001);
  expect(parseTape(`"${"y".repeat(3_000_000)}"`).count).toBe(1);
});
