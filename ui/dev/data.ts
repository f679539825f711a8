/** Seeded calls for the stand-in: the same on every start, but for their times. Some are hostile on purpose. */
import type { ExchangeDetail, ExchangeRow, Header } from "../src/api/types";

/** A small generator with a fixed seed (mulberry32). */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 4294967296;
  };
}

export type Call = { row: ExchangeRow; detail: ExchangeDetail; request: Uint8Array; response: Uint8Array };

type Endpoint = { method: string; template: string; service: string; weight: number; latency: number; failing?: number; operation?: string; protocol?: string };

const ENDPOINTS: Endpoint[] = [
  { method: "GET", template: "/v1/charges/{id}", service: "payments", weight: 24, latency: 38 },
  { method: "POST", template: "/v1/charges", service: "payments", weight: 14, latency: 210, failing: 0.09 },
  { method: "GET", template: "/v1/customers", service: "accounts", weight: 18, latency: 24 },
  { method: "GET", template: "/v1/customers/{id}", service: "accounts", weight: 16, latency: 17 },
  { method: "PATCH", template: "/v1/customers/{id}", service: "accounts", weight: 5, latency: 60, failing: 0.03 },
  { method: "GET", template: "/search", service: "catalogue", weight: 12, latency: 140, failing: 0.02 },
  { method: "POST", template: "/graphql", service: "storefront", weight: 11, latency: 90, operation: "CartWithPrices", protocol: "graphql" },
  { method: "POST", template: "/rpc", service: "ledger", weight: 6, latency: 12, operation: "eth_getBlockByNumber", protocol: "json_rpc" },
  { method: "GET", template: "/health", service: "payments", weight: 8, latency: 2 },
  { method: "DELETE", template: "/v1/sessions/{id}", service: "accounts", weight: 3, latency: 30 },
  { method: "GET", template: "/avatars/{id}.png", service: "accounts", weight: 4, latency: 9 },
  { method: "GET", template: "/events", service: "storefront", weight: 2, latency: 9000 },
];

const USERS = ["u_1842", "u_0077", "u_2210", "u_0913", "ana@example.com", "u_5150", null, "u_3307"];
const COMPANIES: Record<string, string> = { u_1842: "Acme Ltd", u_0077: "Globex", u_2210: "Initech", u_0913: "Acme Ltd", u_5150: "Umbrella GmbH" };
const AGENTS = ["python-requests/2.32.3", "okhttp/4.12.0", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", "curl/8.5.0", "Go-http-client/2.0"];
const HOSTILE_PATHS = [
  "/v1/customers/<script>alert(document.domain)</script>",
  "/download/\u202egnp.exe",
  "/search/%27%3B%20rm%20-rf%20~",
  "/a\u0000b\u001b[31mred",
  `/${"very-long-segment-".repeat(30)}`,
];
/** One red pixel. */
const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEUlEQVR42mP4z8CAFWEXHbQSACj/P8Fu7N9hAAAAAElFTkSuQmCC";

const hex = (value: number, digits: number) => Math.floor(value).toString(16).padStart(digits, "0");
const bytesOf = (text: string) => new TextEncoder().encode(text);

export function makeCall(pick: () => number, instant: number, serial: number): Call {
  const total = ENDPOINTS.reduce((sum, endpoint) => sum + endpoint.weight, 0);
  let at = pick() * total;
  const endpoint = ENDPOINTS.find((one) => (at -= one.weight) < 0) ?? ENDPOINTS[0]!;
  const hostile = pick() < 0.012;
  const user = USERS[Math.floor(pick() * USERS.length)] ?? null;
  const key = hex(pick() * 2 ** 32, 8);
  const path = hostile ? HOSTILE_PATHS[Math.floor(pick() * HOSTILE_PATHS.length)]! : endpoint.template.replace("{id}", endpoint.service === "payments" ? `ch_${key}` : key);
  const status = statusOf(pick, endpoint);
  const duration = status === null ? 30_000 : Math.max(0.4, endpoint.latency * (0.4 + pick() * 1.1 + (pick() < 0.04 ? 9 : 0)));
  const query = endpoint.template === "/search" ? `q=${["shoes", "caf%C3%A9+cr%C3%A8me", "%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E"][Math.floor(pick() * 3)]}&page=${Math.ceil(pick() * 5)}` : null;
  const id = hex(instant, 12) + hex(serial, 8) + key + "0000";
  const request = requestBody(endpoint, pick, key);
  const response = responseBody(endpoint, status, key, pick, serial);
  const host = endpoint.service === "storefront" ? "shop.example.com" : "api.example.com";
  const wait = duration * 0.9;
  const error = status === null ? "upstream.timeout" : null;
  const requestHeaders: Header[] = [
    { name: "Host", value: host }, { name: "User-Agent", value: AGENTS[Math.floor(pick() * AGENTS.length)]! }, { name: "Accept", value: "application/json" },
    { name: "Authorization", value: "Bearer [masked]" }, { name: "X-Request-Id", value: `req-${key}` },
    ...(request.length > 0 ? [{ name: "Content-Type", value: "application/json" }, { name: "Content-Length", value: String(request.length) }] : []),
    ...(hostile ? [{ name: "X-Note", value: "it's \"quoted\" $(touch /tmp/owned) `id` \u202eright to left" }] : []),
  ];
  const image = endpoint.template.endsWith(".png");
  const streaming = endpoint.template === "/events";
  const row: ExchangeRow = {
    id, start_time: new Date(instant).toISOString(), duration_ms: Math.round(duration * 1000) / 1000, method: endpoint.method, scheme: "https", host, path, query, status,
    endpoint: hostile ? null : endpoint.template, operation: endpoint.operation ?? null, protocol: endpoint.protocol ?? "rest", service: endpoint.service, route: `${endpoint.service}-main`,
    consumer: user ? `app-${user.length}` : null, user, company: user ? (COMPANIES[user] ?? null) : null, client: `203.0.113.${Math.floor(pick() * 60)}`,
    request_size: request.length, response_size: status === null ? null : streaming ? 184_320 : response.length, error, source: pick() < 0.8 ? "gateway" : "galileo", findings: hostile ? ["xss"] : [], weight: 1,
  };
  const detail: ExchangeDetail = {
    id, start_time: row.start_time, duration_ms: row.duration_ms, project: "default", weight: 1, origin: { source: row.source, node: "gw-2", environment: "production" },
    service: row.service, route: row.route, consumer: user ? { id: `c-${key}`, username: row.consumer, custom_id: user, credential: null } : null,
    identity: { user, company: row.company, subscription: null, session: `s_${key}` }, client: { address: row.client, port: 51234 }, server: { address: "10.0.4.12", port: 8080 },
    request: {
      method: endpoint.method, scheme: "https", host, path, query, url: `https://${host}${path}${query ? `?${query}` : ""}`, version: "HTTP/1.1", headers: requestHeaders, headers_size: 412, trailers: [],
      body: { size: request.length, captured: "whole", reason: null, captured_size: request.length, media_type: request.length ? "application/json" : null, coding: "" },
    },
    response: status === null ? null : {
      status, reason: status === 200 ? "OK" : status === 502 ? "Bad Gateway" : null, version: "HTTP/1.1", headers_size: 230, trailers: [],
      headers: [{ name: "Content-Type", value: image ? "image/png" : streaming ? "text/event-stream" : "application/json" }, { name: "Date", value: new Date(instant).toUTCString() }, { name: "Server", value: "envoy" }, { name: "Cache-Control", value: "no-store" }],
      body: streaming
        ? { size: 184_320, captured: "cut", reason: "stream", captured_size: response.length, media_type: "text/event-stream", coding: "" }
        : { size: response.length, captured: endpoint.template === "/health" ? "no" : "whole", reason: endpoint.template === "/health" ? "off" : null, captured_size: endpoint.template === "/health" ? 0 : response.length, media_type: image ? "image/png" : "application/json", coding: "" },
    },
    timings: { blocked: 0.1, dns: null, connect: pick() < 0.2 ? 1.8 : null, tls: null, send: Math.min(4, duration * 0.05), wait, receive: duration * 0.05 },
    error, operation: { protocol: row.protocol!, template: row.endpoint ?? path, name: row.operation, kind: endpoint.protocol === "graphql" ? "query" : null, error: null },
    findings: hostile ? [{ kind: "xss", severity: "medium", location: "request.path", evidence: path }] : [], attributes: [{ name: "plan", value: "gold" }, { name: "trace", value: `4bf9${key}` }],
  };
  return { row, detail, request, response };
}

function statusOf(pick: () => number, endpoint: Endpoint): number | null {
  const roll = pick();
  if (roll < (endpoint.failing ?? 0.004)) return [500, 502, 503, 502][Math.floor(pick() * 4)]!;
  if (roll < (endpoint.failing ?? 0.004) + 0.002) return null;
  if (roll < 0.05 + (endpoint.failing ?? 0)) return [400, 401, 404, 409, 422, 429][Math.floor(pick() * 6)]!;
  if (roll < 0.09) return [301, 304][Math.floor(pick() * 2)]!;
  return endpoint.method === "POST" && endpoint.template === "/v1/charges" ? 201 : endpoint.method === "DELETE" ? 204 : 200;
}

function requestBody(endpoint: Endpoint, pick: () => number, key: string): Uint8Array {
  if (endpoint.template === "/v1/charges" && endpoint.method === "POST") {
    return bytesOf(JSON.stringify({ amount: Math.floor(pick() * 90000) + 100, currency: ["eur", "usd", "gbp"][Math.floor(pick() * 3)], card: { number: "[masked]", exp_month: 12, exp_year: 2031 }, description: "Order O'Neill & Söhne, 5 €", metadata: { order: `o-${key}`, "weird.key": true } }));
  }
  if (endpoint.protocol === "graphql") return bytesOf(JSON.stringify({ operationName: "CartWithPrices", query: "query CartWithPrices($id: ID!) {\n  cart(id: $id) {\n    id\n    lines { sku quantity price { amount currency } }\n  }\n}", variables: { id: key } }));
  if (endpoint.protocol === "json_rpc") return bytesOf(JSON.stringify({ jsonrpc: "2.0", id: 7, method: "eth_getBlockByNumber", params: ["0x1b4", true] }));
  if (endpoint.method === "PATCH") return bytesOf(JSON.stringify({ email: "new@example.com", address: { city: "Århus", zip: "8000" } }));
  return new Uint8Array();
}

function responseBody(endpoint: Endpoint, status: number | null, key: string, pick: () => number, serial: number): Uint8Array {
  if (status === null || status === 204 || status === 304) return new Uint8Array();
  if (endpoint.template.endsWith(".png")) return Uint8Array.from(atob(PNG), (character) => character.charCodeAt(0));
  if (endpoint.template === "/events") return bytesOf(Array.from({ length: 40 }, (_, at) => `id: ${at}\nevent: price\ndata: {"sku":"A${at}","price":${(pick() * 90).toFixed(2)}}\n\n`).join(""));
  if (status >= 500) return bytesOf(JSON.stringify({ error: { code: "declined", message: "card declined by issuer", retry: false, trace: `4bf9${key}` } }));
  if (status >= 400) return bytesOf(JSON.stringify({ error: { code: "invalid_request", param: "amount", message: "must be a positive integer" } }));
  if (endpoint.template === "/v1/customers") {
    // Every fiftieth list is large, to look at virtual trees and pieces.
    const count = serial % 50 === 0 ? 9000 : 20;
    return bytesOf(JSON.stringify({ object: "list", has_more: true, data: Array.from({ length: count }, (_, at) => ({ id: `cus_${key}${at}`, name: at % 7 === 3 ? "Ren\u00e9e \u202edlonA" : "Ada Lovelace", balance: 12345678901234567890n.toString().slice(0, 12 + (at % 6)), created: 1763640000 + at, tags: ["vip", null, true] })) }));
  }
  return bytesOf(`{"id":"ch_${key}","object":"charge","amount":1200,"big":12345678901234567890,"ratio":1.10,"paid":true,"refunds":[],"customer":{"id":"cus_9f","email":"[masked]","note":"line one\\nline two \\u202e\\u0007"},"items":[{"sku":"A-1","qty":2,"price":5.50},{"sku":"B-7","qty":1,"price":1.00}],"next":null}`);
}

/** Calls of the last day, more of them lately, with a burst of failures. */
export function makeCalls(count: number, now: number): Call[] {
  const pick = random(20261120);
  const calls: Call[] = [];
  for (let at = 0; at < count; at += 1) {
    const back = Math.pow(pick(), 1.6) * 24 * 3600_000;
    calls.push(makeCall(pick, Math.floor(now - back), at));
  }
  for (let at = 0; at < count / 40; at += 1) {
    const call = makeCall(pick, Math.floor(now - 5.5 * 3600_000 - pick() * 1800_000), count + at);
    if (call.detail.response) {
      call.row.status = 502;
      call.detail.response.status = 502;
    }
    calls.push(call);
  }
  return calls.sort((a, b) => (a.row.start_time < b.row.start_time ? 1 : -1));
}
