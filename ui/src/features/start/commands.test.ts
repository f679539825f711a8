import { expect, test } from "vitest";
import { addressesFor, gatewayCommands, guessFormat, senders } from "./commands";

const page = { protocol: "http:", hostname: "weir.local", origin: "http://weir.local:8002" };

test("addresses are those the reader can reach", () => {
  expect(addressesFor({ proxy: "http://127.0.0.1:8000", proxy_tls: null, admin: "0.0.0.0:8001", server: null }, page)).toEqual({ proxy: "http://127.0.0.1:8000", admin: "http://weir.local:8001", server: "http://weir.local:8002" });
  expect(addressesFor({ proxy: "[::]:18000", proxy_tls: null, admin: "[::1]:1", server: null }, page)).toMatchObject({ proxy: "http://weir.local:18000", admin: "http://[::1]:1" });
});

test("commands hold the addresses, quoted", () => {
  const addresses = { proxy: "http://a:1", admin: "http://b:2", server: "https://c" };
  expect(gatewayCommands(addresses, "http://x/'; rm -rf ~ #")[0]!.text).toContain(`url='http://x/'\\''; rm -rf ~ #'`);
  const galileo = senders(addresses, "t'x")[0]!.text;
  expect(galileo).toContain("config.host=c -d config.port=443");
  expect(galileo).toContain("config.https=true");
  expect(galileo).toContain(`config.service_token='t'\\''x'`);
});

test.each([
  ["a.har", "", "har"],
  ["x", '{"log":{"version":"1.2"', "har"],
  ["x.json", '{"status":200}', "json"],
  ["access.log", '1.2.3.4 - - [20/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 12 "-" "curl"', "combined"],
  ["access.log", '1.2.3.4 - - [20/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 12', "common"],
])("%s that begins with %j is %s", (name, head, format) => {
  expect(guessFormat(name, head)).toBe(format);
});
