// @vitest-environment happy-dom
import { act } from "react";
import { expect, test, vi } from "vitest";
import type { Body } from "../../api/types";
import { answerWith, settle, show } from "../../components/testing";
import { BodyView } from "./BodyView";

const body = (changes: Partial<Body>): Body => ({ size: 10, captured: "whole", reason: null, captured_size: 10, media_type: "application/json", coding: "", ...changes });

async function view(shape: Body, bytes: Uint8Array | string, total?: number): Promise<HTMLElement> {
  const content = typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes;
  answerWith({ "/api/v1/exchanges/x/response/body": () => new Response(content as BodyInit, { status: total ? 206 : 200, headers: total ? { "content-range": `bytes 0-${content.length - 1}/${total}` } : {} }) });
  const place = await show(<BodyView id="x" side="response" body={shape} onFilter={vi.fn()} />);
  await settle();
  return place;
}

const looks = (place: HTMLElement) => [...place.querySelectorAll('[role="group"] button')].map((button) => button.textContent);

test("JSON has a tree, GraphQL its document, text is raw, anything else is hexadecimal", async () => {
  expect(looks(await view(body({}), '{"a":1}'))).toEqual(["Tree", "Raw", "Hex"]);
  expect(looks(await view(body({}), '{"query":"query { a }"}'))).toEqual(["Tree", "GraphQL", "Raw", "Hex"]);
  expect(looks(await view(body({ media_type: "text/html" }), "<b>x</b>"))).toEqual(["Raw", "Hex"]);
  expect(looks(await view(body({ media_type: "application/octet-stream" }), new Uint8Array([0, 255, 1])))).toEqual(["Hex"]);
  expect(looks(await view(body({ media_type: "image/png" }), new Uint8Array([0x89, 0x50, 255])))).toEqual(["Image", "Hex"]);
});

test("HTML stays text", async () => {
  const place = await view(body({ media_type: "text/html" }), '<img src=x onerror="alert(1)"><script>alert(2)</script>');
  expect(place.querySelector("img, script, iframe")).toBeNull();
});

test("what claims to be JSON and is not says where", async () => {
  const place = await view(body({}), '{"a":}');
  expect(place.textContent).toContain("Not valid JSON: a value expected, at character 5");
  expect(looks(place)).toEqual(["Raw", "Hex"]);
});

test("the rest of a long body is fetched when asked", async () => {
  const place = await view(body({ size: 900, captured_size: 900 }), '{"long', 900);
  expect(place.textContent).toContain("The first 6 B of 900 B.");
  answerWith({ "/api/v1/exchanges/x/response/body": () => new Response('{"long":true}') });
  const more = [...place.querySelectorAll("button")].find((button) => button.textContent === "Show all")!;
  await act(async () => more.click());
  await settle();
  expect(place.textContent).not.toContain("The first");
  expect(looks(place)).toEqual(["Tree", "Raw", "Hex"]);
});

test("a body that was not kept asks for nothing and is no empty box", async () => {
  globalThis.fetch = vi.fn() as never;
  const place = await show(<BodyView id="x" side="request" body={body({ captured: "no", captured_size: 0, reason: "budget", size: 5000 })} onFilter={vi.fn()} />);
  expect(place.textContent).toContain("memory set aside for bodies");
  expect(place.textContent).toContain("5.0 KB");
  expect(globalThis.fetch).not.toHaveBeenCalled();
});

test("a failure can be tried again and tells its request", async () => {
  answerWith({});
  const place = await show(<BodyView id="x" side="response" body={body({})} onFilter={vi.fn()} />);
  await settle();
  expect(place.querySelector('[role="alert"]')?.textContent).toContain("r-1");
});
