/** A Redis of the tests' own, and records in it as a gateway of Tyk writes them. */
import { spawn } from "node:child_process";
import { connect } from "node:net";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "./support";

export type Redis = { port: number; push(list: string, values: Buffer[]): Promise<void>; stop(): void };

export async function startRedis(): Promise<Redis> {
  const folder = mkdtempSync(join(tmpdir(), "weir-redis-"));
  const port = 20_000 + Math.floor(Math.random() * 10_000);
  const child = spawn("redis-server", ["--save", "", "--bind", "127.0.0.1", "--port", String(port), "--dir", folder], { stdio: "ignore" });
  await eventually(() => command(port, [Buffer.from("PING")]).then(() => undefined));
  return {
    port,
    push: async (list, values) => void (await command(port, [Buffer.from("RPUSH"), Buffer.from(list), ...values])),
    stop() {
      child.once("exit", () => rmSync(folder, { recursive: true, force: true }));
      child.kill();
    },
  };
}

/** One command in Redis's protocol; the first piece of its answer. */
function command(port: number, words: Buffer[]): Promise<string> {
  return new Promise((done, fail) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(Buffer.concat([Buffer.from(`*${words.length}\r\n`), ...words.flatMap((word) => [Buffer.from(`$${word.length}\r\n`), word, Buffer.from("\r\n")])])));
    socket.once("error", fail);
    socket.once("data", (answer) => {
      socket.end();
      if (answer[0] === 0x2d) fail(new Error(answer.toString()));
      else done(answer.toString());
    });
  });
}

type Packed = string | number | boolean | null | Packed[] | { [name: string]: Packed };

/** MessagePack, as far as records need it. */
export function pack(value: Packed): Buffer {
  if (value === null) return Buffer.from([0xc0]);
  if (typeof value === "boolean") return Buffer.from([value ? 0xc3 : 0xc2]);
  if (typeof value === "number") {
    const bytes = Buffer.alloc(9);
    bytes[0] = Number.isInteger(value) ? 0xd3 : 0xcb;
    if (Number.isInteger(value)) bytes.writeBigInt64BE(BigInt(value), 1);
    else bytes.writeDoubleBE(value, 1);
    return bytes;
  }
  if (typeof value === "string") return Buffer.concat([head(0xdb, Buffer.byteLength(value)), Buffer.from(value)]);
  if (Array.isArray(value)) return Buffer.concat([head(0xdd, value.length), ...value.map(pack)]);
  return Buffer.concat([head(0xdf, Object.keys(value).length), ...Object.entries(value).flatMap(([name, one]) => [pack(name), pack(one)])]);
}

function head(kind: number, length: number): Buffer {
  const bytes = Buffer.alloc(5);
  bytes[0] = kind;
  bytes.writeUInt32BE(length, 1);
  return bytes;
}

export type Call = { at: number; method?: string; path: string; status?: number; ms?: number; api?: string; version?: string; key?: string; alias?: string; oauth?: string; country?: string; tags?: string[]; request?: string; response?: string };

/** A record with the fields that a gateway of release 5 writes; dumps only where they are given. */
export function record(call: Call): Buffer {
  const { at, method = "GET", path, status = 200, ms = 20, api = "Widgets", version = "Non Versioned", key = "00000000", alias = "", oauth = "", country = "", tags = [], request = "", response = "" } = call;
  const when = new Date(at);
  const dump = (text: string) => Buffer.from(text).toString("base64");
  return pack({
    Method: method, Host: "widgets.internal:8080", Path: path, RawPath: path, OriginalPath: `/${api.toLowerCase()}${path}`, ListenPath: `/${api.toLowerCase()}/`, ContentLength: 0, UserAgent: "curl/8.5.0",
    Day: when.getUTCDate(), Month: when.getUTCMonth() + 1, Year: when.getUTCFullYear(), Hour: when.getUTCHours(), ResponseCode: status, APIKey: key, TimeStamp: [Math.floor(at / 1000), (at % 1000) * 1e6],
    APIVersion: version, APIName: api, APIID: `id-${api.toLowerCase()}`, OrgID: "org-1", OauthID: oauth, RequestTime: ms, RawRequest: dump(request), RawResponse: dump(response), IPAddress: "203.0.113.9",
    Geo: { Country: { ISOCode: country }, City: { GeoNameID: 0, Names: null }, Location: { Latitude: 0, Longitude: 0, TimeZone: "" } },
    Network: { OpenConnections: 0, ClosedConnection: 0, BytesIn: 0, BytesOut: 0 }, Latency: { Total: ms, Upstream: Math.floor(ms / 2), Gateway: Math.ceil(ms / 2) },
    Tags: [...tags, `key-${key}`], Alias: alias, TrackPath: false, ExpireAt: [Math.floor(at / 1000) + 604_800, 0],
  });
}
