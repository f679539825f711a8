import { expect, test } from "vitest";
import type { Json } from "../../api/admin";
import { below, changes, lines, tidy, toRecord, unsendable, type RecordDraft } from "./draft";
import { boundsText, readSchema } from "./schema";

const SCHEMA: Json = {
  fields: [
    { id: { type: "string", uuid: true, auto: true } },
    { name: { type: "string", description: "unique name" } },
    { token: { type: "string", required: true, encrypted: true } },
    { retries: { type: "number", default: 10, between: [-1.7976931348623157e308, 1.7976931348623157e308] } },
    { port: { type: "integer", default: 80, between: [0, 65535], required: true } },
    { https: { type: "boolean", default: true } },
    { verify: { type: "boolean" } },
    { mode: { type: "string", one_of: ["a", "b"], default: "a" } },
    { names: { type: "array", elements: { type: "string" }, default: ["apikey"] } },
    { methods: { type: "set", elements: { type: "string" } } },
    { headers: { type: "map", keys: { type: "string" }, values: { type: "array", elements: { type: "string" } } } },
    { inner: { type: "record", fields: [{ depth: { type: "integer", default: 1 } }, { note: { type: "string" } }] } },
    { service: { type: "foreign", reference: "services" } },
    { ordering: { type: "any" } },
  ],
};
const fields = readSchema(SCHEMA);
const empty = toRecord(fields, {});

test("a schema is read as fields; what the gateway makes itself is left out", () => {
  expect(fields.map((field) => field.name)).not.toContain("id");
  expect(fields.find((field) => field.name === "token")).toMatchObject({ required: true, secret: true, preset: null });
  expect(boundsText(fields.find((field) => field.name === "port")!.kind)).toBe("0 to 65535");
  expect(boundsText(fields.find((field) => field.name === "retries")!.kind)).toBe("");
  for (const odd of [null, 7, [], { fields: 3 }, { fields: [null, 1, { x: 1 }] }] as Json[]) expect(readSchema(odd)).toEqual([]);
  expect(readSchema({ fields: [{ odd: { type: "lua" } }] })[0]!.kind).toEqual({ type: "any" });
});

test("a new one begins with the defaults and sends only what was changed", () => {
  expect(empty).toMatchObject({ name: "", retries: "10", https: true, verify: null, names: ["apikey"], methods: [], inner: { depth: "1", note: "" }, service: "" });
  expect(changes(fields, empty, empty)).toBeNull();
  const typed: RecordDraft = { ...empty, token: " t ", port: "8080", https: false, mode: "b", methods: ["GET"], headers: [["x-a", ["1", "2"]]], inner: { depth: "2", note: "" }, service: "s-1", ordering: "{\"before\": []}" };
  expect(changes(fields, empty, typed)).toEqual({
    token: " t ", port: 8080, https: false, mode: "b", methods: ["GET"], headers: { "x-a": ["1", "2"] }, inner: { depth: 2 }, service: { id: "s-1" }, ordering: { before: [] },
  });
});

test("what is emptied is unset, but a list with a default can be empty", () => {
  const saved = toRecord(fields, { name: "n", retries: 3, methods: ["GET"], headers: { a: ["1"] }, service: { id: "s" }, names: ["k"] });
  expect(changes(fields, saved, { ...saved, name: "", retries: "", methods: [], headers: [], service: "", names: [] })).toEqual({ name: null, retries: null, methods: null, headers: null, service: null, names: [] });
});

test("what is no number is sent as it is, for the gateway to say so", () => {
  expect(changes(fields, empty, { ...empty, port: "many" })).toEqual({ port: "many" });
});

test("lines left blank are taken away, so that places in answers are those on the screen", () => {
  const clean = tidy(fields, { ...empty, names: ["", "a", ""], headers: [["", []], ["x", ["", "1"]]] });
  expect(clean).toMatchObject({ names: ["a"], headers: [["x", ["1"]]] });
});

test("text that is no JSON and names given twice are told before anything is sent", () => {
  expect(unsendable(fields, empty)).toBeNull();
  expect(unsendable(fields, { ...empty, ordering: "{", headers: [["a", []], ["a", []], ["", ["1"]]] })).toEqual({ ordering: "this is not JSON; text needs quotes", headers: { a: "this name is given twice", "": "give it a name" } });
});

test("mistakes lead to their fields", () => {
  const mistakes = { config: { port: "value should be between 0 and 65535" }, paths: [null, "should start with: /"], "@entity": ["must set one of"], constructor: "odd" };
  expect(lines(mistakes)).toEqual([
    { path: ["config", "port"], message: "value should be between 0 and 65535" },
    { path: ["paths", "1"], message: "should start with: /" },
    { path: [], message: "must set one of" },
    { path: ["constructor"], message: "odd" },
  ]);
  expect(below(below(mistakes, "paths"), 1)).toBe("should start with: /");
  expect(below({}, "constructor")).toBeNull();
});
