import { expect, test } from "vitest";
import type { Fields } from "../../api/types";
import { placeAt, suggestFields, suggestOperators, suggestValues, valuePrefix } from "./suggest";

const fields: Fields = {
  fields: [
    { name: "http.response.status_code", aliases: ["status"], type: "integer", about: "status code of the answer" },
    { name: "service.name", aliases: ["service"], type: "keyword", about: "service that answered" },
  ],
  families: [{ prefix: "request.header.", about: "a request header" }],
};

test("knows whether a field or a value is being written", () => {
  expect(placeAt("", 0)).toMatchObject({ kind: "field", typed: "" });
  expect(placeAt("stat", 4)).toMatchObject({ kind: "field", start: 0, end: 4, typed: "stat" });
  expect(placeAt("-stat", 5)).toMatchObject({ kind: "field", start: 1, typed: "stat" });
  expect(placeAt("x service:pay y", 13)).toMatchObject({ kind: "value", field: "service", typed: "pay", rest: "x   y" });
  expect(placeAt("(x service:p", 12)).toMatchObject({ kind: "value", rest: "" });
});

test("offers fields by name, alias and sense, and what was asked before", () => {
  const names = (text: string) => suggestFields(text, placeAt(text, text.length) as never, fields, ["old query"]).map((one) => one.result);
  expect(names("")).toEqual(["old query", "status:", "service:"]);
  expect(names("sta")).toContain("status:");
  expect(names("answ")).toEqual(["status:", "service:"]);
  expect(names("a -ser")).toEqual(["a -service:"]);
  expect(names("request.h")).toEqual(["request.header."]);
});

test("offers operators for numbers, and values quoted as they must be", () => {
  const place = placeAt("status:", 7) as never;
  expect(suggestOperators("status:", place, fields.fields[0]).map((one) => one.result)).toContain("status:>=");
  const values = suggestValues("service:p x", placeAt("service:p x", 9) as never, [{ value: "pay ments", count: 3 }, { value: null, count: 1 }]);
  expect(values).toHaveLength(1);
  expect(values[0]).toMatchObject({ result: 'service:"pay ments" x', count: 3 });
  expect([">5", "(a", '"ab', "x"].map(valuePrefix)).toEqual([null, null, "ab", "x"]);
});
