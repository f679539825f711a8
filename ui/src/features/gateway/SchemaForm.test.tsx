// @vitest-environment happy-dom
import { act, useState } from "react";
import { expect, test } from "vitest";
import type { Json, Mistakes } from "../../api/admin";
import { show } from "../../components/testing";
import { changes, toRecord, type RecordDraft } from "./draft";
import { readSchema } from "./schema";
import { MistakeList, SchemaForm } from "./SchemaForm";

const many = Array.from({ length: 13 }, (_, at) => ({ [`other_${at}`]: { type: "string", description: at === 7 ? "seconds to wait" : "something" } }));
const SCHEMA: Json = {
  fields: [
    { token: { type: "string", required: true, encrypted: true, description: "identifies <b>you</b>" } },
    { key_names: { type: "array", elements: { type: "string" }, default: ["apikey"] } },
    { headers: { type: "map", keys: { type: "string" }, values: { type: "string" } } },
    { rules: { type: "array", elements: { type: "record", fields: [{ path: { type: "string", required: true } }] } } },
    ...many,
  ],
};
const fields = readSchema(SCHEMA);
let latest: RecordDraft = {};

function Harness({ mistakes = null, entity = {}, readOnly = false }: { mistakes?: Mistakes; entity?: { [name: string]: Json }; readOnly?: boolean }) {
  const [value, setValue] = useState(() => toRecord(fields, entity));
  latest = value;
  return (
    <>
      <SchemaForm fields={fields} value={value} onChange={setValue} mistakes={mistakes} readOnly={readOnly} path="f" />
      <MistakeList mistakes={mistakes} path="f" title="Not saved" />
    </>
  );
}

async function type(input: HTMLInputElement, text: string): Promise<void> {
  await act(async () => {
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value")!.set!.call(input, text);
    input.dispatchEvent(new Event("input", { bubbles: true }));
  });
}
const press = (place: HTMLElement, name: string) => act(async () => [...place.querySelectorAll("button")].find((button) => (button.getAttribute("aria-label") ?? button.textContent) === name)!.click());
const field = (place: HTMLElement, id: string) => place.querySelector<HTMLInputElement>(`[id="${id}"]`)!;

test("what must be given comes first, a secret is hidden, and words of a schema are only text", async () => {
  const place = await show(<Harness />);
  expect(field(place, "f.token").type).toBe("password");
  expect(field(place, "f.token").getAttribute("aria-required")).toBe("true");
  expect(place.textContent).toContain("identifies <b>you</b>");
  expect(place.querySelector("b")).toBeNull();
  await press(place, "Show");
  expect(field(place, "f.token").type).toBe("text");
  expect(place.querySelector("summary")!.textContent).toContain("16 more");
  expect(field(place, "f.other_1")).toBeNull();
});

test("lists, maps and records inside lists grow and shrink", async () => {
  const place = await show(<Harness entity={{ key_names: ["a"], headers: { x: "1" }, rules: [{ path: "/p" }] }} />);
  await type(field(place, "f.key_names.0"), "b");
  await act(async () => field(place, "f.key_names.add").click());
  await type(field(place, "f.key_names.1"), "c");
  await type(field(place, "f.headers.x"), "2");
  await act(async () => field(place, "f.rules.add").click());
  await type(field(place, "f.rules.1.path"), "/q");
  expect(changes(fields, toRecord(fields, {}), latest)).toEqual({ key_names: ["b", "c"], headers: { x: "2" }, rules: [{ path: "/p" }, { path: "/q" }] });
  await press(place, "Take 1 away");
  expect(changes(fields, toRecord(fields, {}), latest)).toMatchObject({ key_names: ["c"] });
});

test("the gateway's words stand at their fields, also at those that were out of sight", async () => {
  const place = await show(<Harness mistakes={{ token: "required field missing", other_3: "expected a string", key_names: [null, "odd"] }} entity={{ key_names: ["a", "b"] }} />);
  const wrong = field(place, "f.token");
  expect(wrong.getAttribute("aria-invalid")).toBe("true");
  const described = wrong.getAttribute("aria-describedby")!.split(" ").map((id) => field(place, id).textContent);
  expect(described.join(" ")).toContain("required field missing");
  expect(field(place, "f.other_3").getAttribute("aria-invalid")).toBe("true");
  expect(field(place, "f.key_names.1").getAttribute("aria-invalid")).toBe("true");
  const list = place.querySelector("[role=alert]")!;
  expect([...list.querySelectorAll("li")].map((line) => line.textContent)).toEqual(["token required field missing", "other_3 expected a string", "key_names › 2 odd"]);
  await act(async () => list.querySelectorAll("button")[2]!.click());
  expect(document.activeElement?.id).toBe("f.key_names.1");
});

test("many settings can be searched; nothing can be changed when a file decides", async () => {
  const place = await show(<Harness readOnly />);
  const more = place.querySelector("details")!;
  await act(async () => {
    more.open = true;
    more.dispatchEvent(new Event("toggle"));
  });
  await type(place.querySelector<HTMLInputElement>("input[type=search]")!, "seconds");
  expect(field(place, "f.other_7").disabled).toBe(true);
  expect(field(place, "f.other_1")).toBeNull();
  expect([...place.querySelectorAll("button")].map((button) => button.textContent)).not.toContain("Add");
});
