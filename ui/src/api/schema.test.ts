import { readFileSync } from "node:fs";
import openapiTS, { astToString, COMMENT_HEADER } from "openapi-typescript";
import { expect, test } from "vitest";

test("schema.ts is what the server's OpenAPI document makes; if not, run npm run api", async () => {
  const made = COMMENT_HEADER + astToString(await openapiTS(new URL("../../../crates/server/openapi.json", import.meta.url)));
  expect(readFileSync(new URL("./schema.ts", import.meta.url), "utf8").trim()).toBe(made.trim());
});
