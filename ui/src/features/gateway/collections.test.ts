import { expect, test } from "vitest";
import { AdminError, listEntities, MOST_LISTED, type Entity } from "../../api/admin";
import { addressOf, callOf, conditionsOf, nameOf } from "./collections";
import { readParent } from "./EntityPage";
import { matching } from "./ListPage";

const entity = (fields: Record<string, unknown>): Entity => ({ id: "0b0e3d5c-0000-4000-8000-000000000000", ...fields }) as Entity;

test("services and routes without a name are called by what they do", () => {
  const service = { protocol: "https", host: "h", port: 443, path: "/v1" };
  expect(addressOf(entity(service))).toBe("https://h/v1");
  expect(addressOf(entity({ ...service, port: 8443, path: null }))).toBe("https://h:8443");
  expect(nameOf("services", entity(service))).toBe("https://h/v1");
  const route = entity({ methods: ["GET"], hosts: ["a.example"], paths: ["/a"], headers: { "x-v": ["1", "2"] } });
  expect(conditionsOf(route)).toEqual(["GET", "a.example", "/a", "x-v: 1 or 2"]);
  expect(nameOf("plugins", entity({ name: "galileo", instance_name: "eu" }))).toBe("eu (galileo)");
  expect(nameOf("consumers", entity({ username: null, custom_id: "c-7" }))).toBe("c-7");
});

test.each([
  [{ paths: ["/orders"] }, "curl -i http://gw:8000/orders"],
  [{ paths: ["/it's $(x)"] }, "curl -i 'http://gw:8000/it'\\''s $(x)'"],
  [{ hosts: ["a.example"], methods: ["POST"] }, "curl -i -X POST -H 'Host: a.example' http://gw:8000/"],
  [{ paths: ["~/a/\\d+"] }, null],
  [{ hosts: ["*.example"], paths: ["/a"] }, null],
  [{ methods: ["GET"] }, null],
])("the call of %j", (route, command) => {
  expect(callOf(entity(route), "http://gw:8000")).toBe(command);
});

test("a list is searched by all words, and secrets are not looked at", () => {
  const all = [entity({ name: "galileo", config: { service_token: "tok-1" } }), entity({ name: "key-auth", tags: ["blue"], key: "k-1" })];
  expect(matching(all, "  KEY blue ")).toEqual([all[1]]);
  expect(matching(all, "tok-1")).toEqual([]);
  expect(matching(all, "k-1")).toEqual([]);
  expect(matching(all, "")).toEqual(all);
});

test("what a new one belongs to is read from the link, and nothing else", () => {
  expect(readParent("service:0b0e3d5c-0000-4000-8000-000000000000")).toEqual({ field: "service", id: "0b0e3d5c-0000-4000-8000-000000000000" });
  for (const odd of [undefined, "service", "service:", ":x", "a b:c", "service:../x"]) expect(readParent(odd)).toBeNull();
});

test("refusals become words at fields, whatever their shape", () => {
  const mistakes = (refusal: object) => new AdminError(400, refusal, null).mistakes;
  expect(mistakes({ code: 2, fields: { host: "required field missing" } })).toEqual({ host: "required field missing" });
  expect(mistakes({ code: 5, fields: { name: "orders" } })).toEqual({ name: "is taken already" });
  expect(mistakes({ code: 4, fields: { service: { id: "x" } } })).toEqual({ service: "does not exist" });
  expect(mistakes({ code: 4, fields: { "@referenced_by": "routes" } })).toBeNull();
  expect(mistakes({ message: "no" })).toBeNull();
});

test("all pages of a list are read, up to a bound", async () => {
  let asked = 0;
  globalThis.fetch = (async (address: string) => {
    asked += 1;
    const offset = /offset=(\d+)/.exec(address)?.[1] ?? "0";
    const data = Array.from({ length: 1000 }, (_, at) => ({ id: `${Number(offset) + at}` }));
    return Response.json({ data, offset: String(Number(offset) + 1000) });
  }) as typeof fetch;
  const { entities, more } = await listEntities("services");
  expect([entities.length, more, asked]).toEqual([MOST_LISTED, true, 5]);
  expect(new Set(entities.map((one) => one.id)).size).toBe(MOST_LISTED);
});
