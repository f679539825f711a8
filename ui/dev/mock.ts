/**
 * A stand-in for a weir with made-up calls, for work on the page and its component tests. It follows docs/api.md as far
 * as the page needs it and understands only the plain part of the query text; what counts is tested against the real one.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { readFileSync, existsSync } from "node:fs";
import { extname, join } from "node:path";
import type { ExchangeRow, Field } from "../src/api/types";
import { chips, tokenize, unquote } from "../src/lib/query-text";
import { resolve } from "../src/lib/time";
import { makeCall, makeCalls, random, type Call } from "./data";

type Options = { port: number; empty?: boolean; perSecond?: number; dist?: string };

const FIELDS: [string, string[], string, string, (row: ExchangeRow) => unknown][] = [
  ["start_time", ["time"], "time", "when the request began", (row) => row.start_time],
  ["http.request.method", ["method"], "keyword", "request method", (row) => row.method],
  ["http.response.status_code", ["status"], "integer", "status code of the answer", (row) => row.status],
  ["http.route", ["endpoint", "template"], "keyword", "path with its variable parts templated", (row) => row.endpoint],
  ["url.path", ["path"], "keyword", "path as sent", (row) => row.path],
  ["url.query", ["query"], "keyword", "query string as sent", (row) => row.query],
  ["server.address", ["host"], "keyword", "host the client named, without the port", (row) => row.host],
  ["http.server.request.duration", ["latency", "duration"], "duration", "from the first byte of the request to the last byte of the answer", (row) => row.duration_ms],
  ["error.type", ["error"], "keyword", "what went wrong on the way", (row) => row.error],
  ["service.name", ["service"], "keyword", "service that answered", (row) => row.service],
  ["weir.route", ["route"], "keyword", "gateway route that matched", (row) => row.route],
  ["user.id", ["user"], "keyword", "who called", (row) => row.user],
  ["weir.consumer", ["consumer"], "keyword", "consumer as authenticated by the gateway", (row) => row.consumer],
  ["weir.company", ["company"], "keyword", "company the user belongs to", (row) => row.company],
  ["client.address", ["client", "ip"], "keyword", "address of the caller", (row) => row.client],
  ["http.response.body.size", ["response_size", "size"], "bytes", "size of the response body on the wire", (row) => row.response_size],
  ["weir.source", ["source"], "keyword", "how it reached weir", (row) => row.source],
  ["weir.protocol", ["protocol"], "keyword", "rest, graphql, json_rpc, soap, grpc or websocket", (row) => row.protocol],
  ["weir.operation", ["operation"], "keyword", "operation, method or action named inside the request", (row) => row.operation],
  ["weir.finding.kind", ["finding"], "keyword", "what a detector saw", (row) => row.findings[0] ?? null],
];

const fieldOf = (name: string) => FIELDS.find(([long, aliases]) => long === name || aliases.includes(name));

class QueryMistake extends Error {
  constructor(detail: string, readonly offset: number, readonly length: number) {
    super(detail);
  }
}

type Test = (call: Call) => boolean;

/** Understands terms joined by «and»; anything else asks for everything. */
export function testOf(q: string): Test {
  const tests = chips(q).filter((chip) => chip.kind !== "group").map((chip): Test => {
    const token = tokenize(q).find((one) => one.kind === "term" && one.start >= chip.start && one.end === chip.end);
    const value = q.slice(token?.valueStart ?? chip.start, chip.end);
    let test: Test;
    if (token?.field === undefined) {
      const words = unquote(value).toLowerCase();
      test = (call) => `${call.row.path} ${call.row.query ?? ""} ${new TextDecoder().decode(call.response.subarray(0, 4096))} ${new TextDecoder().decode(call.request)}`.toLowerCase().includes(words);
    } else {
      const field = fieldOf(token.field);
      if (!field && !/^(request|response)\.(header|body|query)\.|^attribute\./.test(token.field)) throw new QueryMistake(`there is no field "${token.field}"; did you mean "status"?`, token.start, token.field.length);
      const get = (call: Call): unknown => (field ? field[4](call.row) : memberOf(call, token.field!));
      const operator = /^(>=|<=|>|<)/.exec(value)?.[0];
      if (operator) {
        const bound = number(value.slice(operator.length));
        if (Number.isNaN(bound)) throw new QueryMistake(`"${token.field}:${value}": give a number, for example 500${field?.[2] === "duration" ? "ms" : ""}`, token.valueStart!, value.length);
        const compare: Record<string, (x: number) => boolean> = { ">=": (x) => x >= bound, "<=": (x) => x <= bound, ">": (x) => x > bound, "<": (x) => x < bound };
        test = (call) => get(call) !== null && compare[operator]!(Number(get(call)));
      } else if (value === "*") test = (call) => (get(call) ?? null) !== null;
      else if (value.startsWith("(")) {
        const several = value.slice(1, -1).split(/\s+/).filter((word) => word !== "OR");
        test = (call) => several.includes(String(get(call)));
      } else if (value.endsWith("*")) test = (call) => String(get(call) ?? "").startsWith(value.slice(0, -1));
      else test = (call) => String(get(call) ?? "") === unquote(value);
    }
    return chip.negated ? (call) => !test(call) : test;
  });
  return (call) => tests.every((test) => test(call));
}

const number = (text: string) => {
  const match = /^(\d+(?:\.\d+)?)(ms|s|us|µs|KB|MB|kb)?$/.exec(text);
  return match ? Number(match[1]) * ({ s: 1000, KB: 1000, MB: 1e6 } as Record<string, number>)[match[2] ?? ""]! || Number(match[1]) : NaN;
};

function memberOf(call: Call, field: string): unknown {
  const [side, family, ...path] = field.split(".");
  if (family === "header") return (side === "request" ? call.detail.request : call.detail.response)?.headers.find((header) => header.name.toLowerCase() === path.join("."))?.value ?? null;
  try {
    let value = JSON.parse(new TextDecoder().decode(side === "request" ? call.request : call.response)) as Record<string, unknown> | unknown;
    for (const name of path) value = (value as Record<string, unknown>)?.[name];
    return value ?? null;
  } catch {
    return null;
  }
}

export async function start({ port, empty = false, perSecond = 3, dist }: Options): Promise<string> {
  const state: State = { calls: empty ? [] : makeCalls(12_000, Date.now()), listeners: new Set<(call: Call) => void>(), dropped: 0 };
  const pick = random(7);
  let serial = 1_000_000;
  const add = () => {
    const call = makeCall(pick, Date.now(), serial++);
    state.calls.unshift(call);
  };
  const timer = setInterval(() => {
    if (!empty || state.calls.length > 0) for (let at = 0; at < Math.max(1, perSecond / 10); at += 1) if (pick() < perSecond / 10 || perSecond >= 10) {
      add();
      for (const listener of state.listeners) listener(state.calls[0]!);
    }
  }, 100);
  const server: Server = createServer((request, response) => {
    handle(request, response, state, add, dist).catch((error: unknown) => {
      const mistake = error instanceof QueryMistake ? error : null;
      const problem = mistake
        ? { type: "about:blank", title: "The query cannot be read", status: 400, detail: mistake.message, errors: [{ parameter: "q", detail: mistake.message, offset: mistake.offset, length: mistake.length }] }
        : { type: "about:blank", title: "Internal error", status: 500, detail: String(error) };
      response.writeHead(problem.status, { "content-type": "application/problem+json", "x-request-id": "mock-1" });
      response.end(JSON.stringify(problem));
    });
  });
  await new Promise<void>((done) => server.listen(port, "127.0.0.1", done));
  server.on("close", () => clearInterval(timer));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

type State = { upstream?: string; calls: Call[]; listeners: Set<(call: Call) => void>; dropped: number };

async function handle(request: IncomingMessage, response: ServerResponse, state: State, add: () => void, dist?: string): Promise<void> {
  const url = new URL(request.url ?? "/", "http://mock");
  const search = url.searchParams;
  const path = url.pathname;
  const send = (value: unknown) => {
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify(value));
  };
  const matching = (q: string | null, from: string | null, to: string | null) => {
    const [start, end] = [from ? resolve(from, Date.now(), "UTC") : null, to ? resolve(to, Date.now(), "UTC") : null];
    const test = testOf(q ?? "");
    return state.calls.filter((call) => {
      const at = Date.parse(call.row.start_time);
      return (start === null || at >= start) && (end === null || at < end) && test(call);
    });
  };
  const exchange = /^\/api\/v1\/exchanges\/([^/]+)(\/.*)?$/.exec(path);
  if (path === "/api/v1/explore") {
    const ask = JSON.parse(await textOf(request)) as { q?: string; from?: string; to?: string; limit: number; buckets: number };
    const found = matching(ask.q ?? null, ask.from ?? null, ask.to ?? null);
    const to = ask.to ? resolve(ask.to, Date.now(), "UTC")! : Date.now();
    const from = ask.from ? resolve(ask.from, Date.now(), "UTC")! : Date.parse(found.at(-1)?.row.start_time ?? new Date().toISOString());
    return send({ exchanges: found.slice(0, ask.limit).map((call) => call.row), next: found.length > ask.limit ? String(ask.limit) : null, total: { value: found.length, relation: "eq" }, took_ms: 4.2, from: new Date(from).toISOString(), to: new Date(to).toISOString(), histogram: histogram(found, from, to, ask.buckets) });
  }
  if (path === "/api/v1/exchanges") {
    const found = matching(search.get("q"), search.get("from"), search.get("to"));
    const start = Number(search.get("cursor") ?? 0);
    const limit = Number(search.get("limit") ?? 50);
    return send({ exchanges: found.slice(start, start + limit).map((call) => call.row), next: start + limit < found.length ? String(start + limit) : null, total: { value: found.length, relation: "eq" } });
  }
  if (exchange) return one(exchange[1]!, exchange[2] ?? "", state, request, response, send);
  if (path === "/api/v1/fields") return send({ fields: FIELDS.map(([name, aliases, type, about]): Field => ({ name, aliases, type, about })), families: [{ prefix: "request.header.", about: "a request header" }, { prefix: "response.body.", about: "a member of a JSON response" }, { prefix: "request.body.", about: "a member of a JSON request" }] });
  const values = /^\/api\/v1\/fields\/(.+)\/values$/.exec(path);
  if (values) {
    const field = fieldOf(decodeURIComponent(values[1]!));
    const counts = new Map<unknown, number>();
    for (const call of matching(search.get("q"), search.get("from"), search.get("to"))) {
      const value = field ? field[4](call.row) : memberOf(call, decodeURIComponent(values[1]!));
      if (String(value ?? "").startsWith(search.get("prefix") ?? "")) counts.set(value, (counts.get(value) ?? 0) + 1);
    }
    const limit = Number(search.get("limit") ?? 10);
    const sorted = [...counts].sort((a, b) => b[1] - a[1]);
    return send({ values: sorted.slice(0, limit).map(([value, count]) => ({ value, count })), more: sorted.length > limit, approximate: false });
  }
  if (path === "/api/v1/live") return live(search.get("q") ?? "", state, request, response);
  if (path === "/api/v1/ledger") return send(ledger(state));
  if (path === "/api/v1/setup") {
    return send({ version: "0.1.0", addresses: { proxy: request.headers.host!, proxy_tls: null, admin: request.headers.host!, server: request.headers.host! }, exchanges: state.calls.length, first_exchange: state.calls.at(-1)?.row ?? null, token: null });
  }
  if (path === "/api/v1/import") {
    const size = (await textOf(request)).length;
    for (let at = 0; at < 25; at += 1) add();
    return send({ offered: 26, accepted: 25, rejected: 1, rejections: [{ line: 7, reason: `line of ${size} characters: no status code` }] });
  }
  if (path === "/services") state.upstream = new URLSearchParams(await textOf(request)).get("url") ?? undefined;
  if (path.startsWith("/services")) return response.writeHead(201, { "content-type": "application/json" }).end('{"id":"made"}') && undefined;
  if (path.startsWith("/my-api")) return gateway(url, request, response, state, add);
  if (dist) return page(dist, path, response);
  response.writeHead(404, { "content-type": "application/problem+json" }).end(JSON.stringify({ title: "Not found", status: 404 }));
}

const textOf = async (request: IncomingMessage) => {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString("utf8");
};

function histogram(found: Call[], from: number, to: number, wanted: number) {
  const steps = [1e3, 2e3, 5e3, 1e4, 3e4, 6e4, 12e4, 3e5, 6e5, 9e5, 18e5, 36e5, 72e5, 216e5, 432e5, 864e5];
  const interval = steps.find((step) => (to - from) / step <= wanted) ?? 864e5;
  const buckets = new Map<number, Record<string, number>>();
  for (const { row } of found) {
    const start = Math.floor(Date.parse(row.start_time) / interval) * interval;
    const counts = buckets.get(start) ?? {};
    const kind = row.status === null ? "none" : `${Math.floor(row.status / 100)}xx`;
    counts[kind] = (counts[kind] ?? 0) + 1;
    buckets.set(start, counts);
  }
  return { interval_ms: interval, buckets: [...buckets].sort((a, b) => a[0] - b[0]).map(([start, counts]) => ({ start: new Date(start).toISOString(), counts })) };
}

function one(id: string, rest: string, state: State, request: IncomingMessage, response: ServerResponse, send: (value: unknown) => void): void {
  const call = state.calls.find((one) => one.row.id === id);
  if (!call) {
    response.writeHead(404, { "content-type": "application/problem+json", "x-request-id": "mock-404" });
    return void response.end(JSON.stringify({ title: "No such exchange", status: 404, detail: `there is no exchange ${id}` }));
  }
  const side = /^\/(request|response)\/body$/.exec(rest)?.[1];
  if (side) {
    const bytes = side === "request" ? call.request : call.response;
    const range = /bytes=0-(\d+)/.exec(request.headers.range ?? "");
    const part = range ? bytes.subarray(0, Number(range[1]) + 1) : bytes;
    response.writeHead(range ? 206 : 200, { "content-type": "application/octet-stream", ...(range ? { "content-range": `bytes 0-${part.length - 1}/${bytes.length}` } : {}) });
    return void response.end(part);
  }
  if (rest === "/har") return send({ log: { version: "1.2", creator: { name: "weir", version: "0.1.0" }, entries: [{ startedDateTime: call.row.start_time }] } });
  send(call.detail);
}

function live(q: string, state: State, request: IncomingMessage, response: ServerResponse): void {
  const test = testOf(q);
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
  response.write(": hello\n\n");
  const listener = (call: Call) => {
    if (test(call)) response.write(`event: exchange\nid: ${call.row.id}\ndata: ${JSON.stringify(call.row)}\n\n`);
  };
  state.listeners.add(listener);
  request.on("close", () => state.listeners.delete(listener));
}

function ledger(state: State) {
  const count = state.calls.length;
  const now = new Date().toISOString();
  return {
    as_of: now, balanced: true,
    sources: [
      { name: "gateway", offered: count + 4, accepted: count, dropped: { queue_full: 4 }, held: 0 },
      { name: "galileo", offered: 1204, accepted: 1200, dropped: { malformed: 4 }, held: 0 },
    ],
    targets: [
      { name: "store", kind: "store", offered: count + 1200, delivered: count + 1193, dropped: {}, held: 7, lag_seconds: 0.4, retries: 0, last_error: null, removed: false },
      { name: "moesif-eu", kind: "moesif", offered: count + 1200, delivered: count + 1100, dropped: { retries: 12 }, held: 88, lag_seconds: 14, retries: 31, last_error: { at: now, message: "503 Service Unavailable from api.example.com" }, removed: false },
    ],
    journal: { bytes: 83_886_080, max_bytes: 1_073_741_824, oldest: state.calls.at(-1)?.row.start_time ?? null },
    store: { exchanges: count + 1193, bytes: (count + 1193) * 890, uncommitted: 7, oldest: state.calls.at(-1)?.row.start_time ?? null, newest: state.calls[0]?.row.start_time ?? null },
  };
}

/** Enough of a gateway that the lines of the first-run page do something. */
async function gateway(url: URL, request: IncomingMessage, response: ServerResponse, state: State, add: () => void): Promise<void> {
  const body = await textOf(request);
  add();
  const call = state.calls[0]!;
  const status = Number(/\/status\/(\d{3})/.exec(url.pathname)?.[1] ?? 200);
  const answer = JSON.stringify({ ...(status >= 400 ? { error: { code: "declined", message: "card declined" } } : { ok: true }), path: url.pathname, items: [{ sku: "A-1", price: 1.1 }], note: "left \u202e right" });
  const query = url.search.slice(1) || null;
  Object.assign(call.row, { method: request.method!, path: url.pathname, query, status, endpoint: url.pathname, host: url.hostname, error: null, operation: null, protocol: "rest" });
  const headers = Object.entries(request.headers).map(([name, value]) => ({ name, value: String(value) }));
  Object.assign(call.detail.request, { method: request.method!, path: url.pathname, query, url: `http://${request.headers.host}${request.url}`, host: request.headers.host!, headers });
  call.request = new TextEncoder().encode(body);
  call.response = new TextEncoder().encode(answer);
  Object.assign(call.detail.request.body, { size: call.request.length, captured: "whole", captured_size: call.request.length, media_type: "application/json" });
  call.detail.response = { status, reason: null, version: "1.1", headers: [{ name: "Content-Type", value: "application/json" }], headers_size: 40, trailers: [], body: { size: answer.length, captured: "whole", reason: null, captured_size: call.response.length, media_type: "application/json", coding: "" } };
  if (state.upstream) await fetch(state.upstream + url.pathname + url.search, { method: request.method, headers: { "x-note": String(request.headers["x-note"] ?? "") }, body: body || undefined });
  for (const listener of state.listeners) listener(call);
  response.writeHead(status, { "content-type": "application/json" });
  response.end(answer);
}

const TYPES: Record<string, string> = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
const POLICY = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'";

/** The built page, under the content policy it will be served with. */
function page(dist: string, path: string, response: ServerResponse): void {
  const file = join(dist, path.includes("..") ? "index.html" : path);
  const found = extname(path) !== "" && existsSync(file) ? file : join(dist, "index.html");
  response.writeHead(200, { "content-type": TYPES[extname(found)] ?? "application/octet-stream", "content-security-policy": POLICY });
  response.end(readFileSync(found));
}
