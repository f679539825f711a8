import { expect, test } from "vitest";
import { factsOf } from "./people";

test("properties are lines by their path; what is empty is left out", () => {
  const { facts, more } = factsOf({ user_id: "u1", metadata: { plan: "pro", seats: 3, trial: false, tags: ["a", "b", null], address: { city: "Bonn", zip: null }, orders: [{ id: 1 }, { id: 2 }], note: "" } });
  expect(facts).toEqual([
    { path: "user_id", value: "u1" },
    { path: "metadata.plan", value: "pro" },
    { path: "metadata.seats", value: "3" },
    { path: "metadata.trial", value: "false" },
    { path: "metadata.tags", value: "a, b, null" },
    { path: "metadata.address.city", value: "Bonn" },
    { path: "metadata.orders[0].id", value: "1" },
    { path: "metadata.orders[1].id", value: "2" },
  ]);
  expect(more).toBe(false);
});

test("a reporter that says everything does not fill the page", () => {
  const { facts, more } = factsOf(Object.fromEntries(Array.from({ length: 5000 }, (_, at) => [`p${at}`, at])));
  expect([facts.length, more]).toEqual([200, true]);
});
