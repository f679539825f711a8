// CPU per proxied call of weir, nginx and haproxy, measured side by side. See README.md in this folder.

import { spawn, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { cpus, tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const { values: options } = parseArgs({
  options: {
    weir: { type: "string" },
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "5" },
    connections: { type: "string", default: "50" },
    // Only proxies whose name holds this, beside nginx without a log.
    only: { type: "string", default: "" },
  },
});
const rounds = Number(options.rounds);
const seconds = Number(options.seconds);
const here = dirname(fileURLToPath(import.meta.url));
const work = mkdtempSync(join(tmpdir(), "weir-bench-"));
// Started by root, nginx reads the files as another user.
chmodSync(work, 0o755);
const children = [];

const LOADS = {
  "GET, 200 B": { path: "/small", script: "small.lua" },
  "POST 1 KB, 10 KB": { path: "/large", script: "large.lua" },
};

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

const fileName = (name) => name.replaceAll(/\W+/g, "-");

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

function start(name, command, args, env = {}) {
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ["ignore", "ignore", "pipe"] });
  let complaints = "";
  child.stderr.on("data", (data) => (complaints = (complaints + data).slice(-4000)));
  child.on("exit", (code, signal) => {
    if (!stopping && code !== 0) fail(`${name} ended (${code ?? signal}): ${complaints}`);
  });
  child.on("error", (error) => fail(`${name}: ${error.message}`));
  children.push(child);
  return child;
}

let stopping = false;
async function stop() {
  stopping = true;
  for (const child of children) child.kill("SIGTERM");
  await sleep(500);
  for (const child of children) if (child.exitCode === null) child.kill("SIGKILL");
  rmSync(work, { recursive: true, force: true });
}

function fail(message) {
  console.error(`error: ${message}`);
  stopping = true;
  for (const child of children) child.kill("SIGKILL");
  rmSync(work, { recursive: true, force: true });
  process.exit(1);
}

async function answers(url, patience = 15_000) {
  const deadline = Date.now() + patience;
  while (Date.now() < deadline) {
    try {
      const response = await fetch(url);
      await response.arrayBuffer();
      if (response.ok) return;
    } catch {
      // Not listening yet.
    }
    await sleep(5);
  }
  fail(`${url} does not answer`);
}

// Clock ticks are hundredths of a second on Linux, whatever the kernel runs at.
const TICK = 0.01;

function statOf(path) {
  try {
    const text = readFileSync(path, "utf8");
    // The name stands in parentheses and may hold anything.
    const name = text.slice(text.indexOf("(") + 1, text.lastIndexOf(")"));
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return { name, parent: Number(fields[1]), seconds: (Number(fields[11]) + Number(fields[12])) * TICK };
  } catch {
    return null;
  }
}

/** A process and its descendants. */
function family(pid) {
  const all = readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number);
  const members = [pid];
  for (const member of members) {
    for (const other of all) {
      if (!members.includes(other) && statOf(`/proc/${other}/stat`)?.parent === member) members.push(other);
    }
  }
  return members;
}

/** Processor seconds so far: of all threads, and of those whose name begins so. */
function used(pid, threads) {
  const sum = { all: 0, part: 0 };
  for (const member of family(pid)) {
    sum.all += statOf(`/proc/${member}/stat`)?.seconds ?? 0;
    if (!threads) continue;
    for (const thread of readdirSync(`/proc/${member}/task`)) {
      const stat = statOf(`/proc/${member}/task/${thread}/stat`);
      if (stat && threads.test(stat.name)) sum.part += stat.seconds;
    }
  }
  return sum;
}

function resident(pid) {
  return family(pid).reduce((sum, member) => {
    const line = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${member}/status`, "utf8"));
    return sum + (line ? Number(line[1]) / 1024 : 0);
  }, 0);
}

function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function wrk(port, load) {
  const args = ["-t1", `-c${options.connections}`, `-d${seconds}s`, "--latency", "-s", join(here, load.script)];
  const child = spawn("wrk", [...args, `http://127.0.0.1:${port}${load.path}`], { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  child.stdout.on("data", (data) => (output += data));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", () => {
      const calls = /(\d+) requests in/.exec(output);
      if (!calls) return reject(new Error(`wrk said: ${output}`));
      const errors = /Non-2xx or 3xx responses: (\d+)/.exec(output);
      const socket = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(output);
      const percentile = (name) => toMilliseconds(new RegExp(`\\s${name}%\\s+([\\d.]+)(us|ms|s)`).exec(output));
      resolve({
        calls: Number(calls[1]),
        perSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(output)[1]),
        errors: Number(errors?.[1] ?? 0) + (socket ? socket.slice(1).reduce((sum, count) => sum + Number(count), 0) : 0),
        p50: percentile(50),
        p99: percentile(99),
      });
    });
  });
}

function toMilliseconds(match) {
  return match ? Number(match[1]) * { us: 0.001, ms: 1, s: 1000 }[match[2]] : null;
}

const NGINX_COMMON = `daemon off; worker_processes 1; pid %WORK%/%NAME%.pid; error_log stderr error;
events { worker_connections 4096; }
http { client_body_temp_path %WORK%/t1; proxy_temp_path %WORK%/t2; fastcgi_temp_path %WORK%/t3;
  uwsgi_temp_path %WORK%/t4; scgi_temp_path %WORK%/t5; sendfile on; tcp_nopush on; keepalive_requests 1000000000; access_log off;`;

function nginx(name, body) {
  const file = join(work, `${fileName(name)}.conf`);
  const common = NGINX_COMMON.replaceAll("%WORK%", work).replaceAll("%NAME%", fileName(name));
  writeFileSync(file, `${common}\n${body}\n}\n`);
  return start(name, "nginx", ["-c", file, "-p", work]);
}

async function upstream() {
  const port = await freePort();
  writeFileSync(join(work, "small"), "x".repeat(200));
  const item = { id: 4711, name: "red harbour shoes", price: { value: 4990, currency: "EUR" }, stock: 12 };
  writeFileSync(join(work, "large"), JSON.stringify(Array(200).fill(item)).slice(0, 10_240));
  nginx("upstream", `server { listen 127.0.0.1:${port} reuseport backlog=4096; root ${work}; default_type application/json;
    open_file_cache max=10; error_page 405 =200 $uri; }`);
  await answers(`http://127.0.0.1:${port}/small`);
  return port;
}

async function nginxProxy(name, up, log) {
  const port = await freePort();
  const child = nginx(name, `${log}
    upstream up { server 127.0.0.1:${up}; keepalive 100; keepalive_requests 1000000000; }
    server { listen 127.0.0.1:${port} backlog=4096; location / { proxy_pass http://up; proxy_http_version 1.1;
      proxy_set_header Connection ""; proxy_set_header Host $host; } }`);
  await answers(`http://127.0.0.1:${port}/small`);
  return { name, port, pid: child.pid };
}

async function haproxy(up) {
  const port = await freePort();
  const file = join(work, "haproxy.cfg");
  writeFileSync(file, `global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend f
  bind 127.0.0.1:${port}
  default_backend b
backend b
  server up 127.0.0.1:${up}\n`);
  const child = start("haproxy", "haproxy", ["-db", "-f", file]);
  await answers(`http://127.0.0.1:${port}/small`);
  return { name: "haproxy, log off", port, pid: child.pid };
}

/** A Redis that keeps nothing on disk; gives its port and how to count and remove the records in it. */
async function redis() {
  const port = await freePort();
  start("redis", "redis-server", ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--dir", work]);
  const list = "analytics-tyk-system-analytics";
  for (let patience = 500; patience > 0; patience -= 1) {
    const socket = connect(port, "127.0.0.1");
    const open = await new Promise((done) => socket.once("connect", () => done(true)).once("error", () => done(false)));
    if (!open) {
      await sleep(20);
      continue;
    }
    const ask = (command) =>
      new Promise((done) => {
        socket.once("data", (data) => done(Number(data.toString().slice(1))));
        socket.write(`${command} ${list}\r\n`);
      });
    return { port, count: () => ask("LLEN"), remove: () => ask("DEL") };
  }
  return fail("redis does not answer");
}

/** Starts weir; gives its addresses and how long it took to be ready. */
async function weir(name, settings, role = "run") {
  const data = join(work, fileName(name));
  const local = "127.0.0.1:0";
  const began = performance.now();
  const child = start(name, resolve(options.weir), [role], {
    WEIR_DATA_DIR: data,
    WEIR_GATEWAY__PROXY_LISTEN: local,
    WEIR_GATEWAY__PROXY_TLS_LISTEN: "off",
    WEIR_GATEWAY__ADMIN_LISTEN: local,
    WEIR_SERVER__LISTEN: local,
    WEIR_GATEWAY__WORKERS: "1",
    WEIR_LOG__LEVEL: "error",
    ...settings,
  });
  let addresses;
  while (!addresses) {
    try {
      addresses = JSON.parse(readFileSync(join(data, "run.json"), "utf8"));
    } catch {
      await sleep(1);
    }
    if (performance.now() - began > 30_000) fail(`${name} did not start`);
  }
  if (addresses.server) await answers(`http://${addresses.server}/readyz`);
  return { child, addresses, ready: performance.now() - began };
}

async function weirProxy(name, up, settings, role) {
  const { child, addresses } = await weir(name, settings, role);
  const send = async (path, body) => {
    const headers = { "content-type": "application/json" };
    const response = await fetch(`http://${addresses.admin}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
    if (!response.ok) fail(`POST ${path}: ${response.status} ${await response.text()}`);
  };
  await send("/services", { name: "up", url: `http://127.0.0.1:${up}` });
  await send("/services/up/routes", { name: "all", paths: ["/"] });
  const port = Number(addresses.proxy.split(":").at(-1));
  await answers(`http://127.0.0.1:${port}/small`);
  return { name, port, pid: child.pid, threads: /^gateway-\d+$/, server: addresses.server };
}

/** A gateway alone that records to a Redis of its own as Tyk's does; without `config` it records nothing. */
async function recordingProxy(name, up, config) {
  const off = { WEIR_GATEWAY__CAPTURE__ENABLED: "false" };
  if (!config) return weirProxy(name, up, off, "gateway");
  const records = await redis();
  const storage = { host: "127.0.0.1", port: records.port };
  const targets = JSON.stringify({ tyk: { kind: "tyk", config: { storage, max_waiting_records: 100_000_000, ...config } } });
  // As much of bodies as the exporter asks for, and no more.
  const bytes = config.enable_detailed_recording ? "64KiB" : "0";
  const capture = { WEIR_GATEWAY__CAPTURE__REQUEST_BODY_BYTES: bytes, WEIR_GATEWAY__CAPTURE__RESPONSE_BODY_BYTES: bytes };
  return { ...(await weirProxy(name, up, { ...capture, WEIR_TARGETS: targets }, "gateway")), records };
}

/** Waits until no more records come, and gives how many there are. */
async function written(records) {
  for (let last = -1, still = 0; ; await sleep(100)) {
    const count = await records.count();
    still = count === last ? still + 1 : 0;
    last = count;
    if (still < 10) continue;
    await records.remove();
    return count;
  }
}

async function ledger(proxy) {
  const response = await fetch(`http://${proxy.server}/api/v1/ledger`);
  return response.json();
}

/** What capture leaves to be done afterwards counts too: waits until nothing is held. */
async function settled(proxy) {
  for (let patience = 600; patience > 0; patience -= 1) {
    const { sources, targets } = await ledger(proxy);
    if ([...sources, ...targets].every((account) => account.held === 0)) return;
    await sleep(100);
  }
  fail(`${proxy.name}: exchanges are held after a minute`);
}

/** The share of calls that are kept in the end; less than all means that capture could not keep up and said so. */
async function kept(proxy) {
  const { sources } = await ledger(proxy);
  const sum = (key) => sources.reduce((total, source) => total + source[key], 0);
  return sum("offered") === 0 ? null : sum("accepted") / sum("offered");
}

async function startUp() {
  const times = [];
  let memory = 0;
  for (let run = 0; run < 5; run += 1) {
    const { child, ready } = await weir(`start ${run}`, {});
    times.push(ready);
    await sleep(300);
    memory = resident(child.pid);
    children.splice(children.indexOf(child), 1);
    child.removeAllListeners("exit");
    child.kill("SIGTERM");
    await new Promise((resolve) => child.once("exit", resolve));
  }
  return { milliseconds: median(times), megabytes: memory };
}

async function main() {
  if (!options.weir) fail("--weir FILE is missing");
  for (const program of ["nginx", "haproxy", "wrk", "redis-server"]) {
    if (spawnSync("sh", ["-c", `command -v ${program}`]).status !== 0) fail(`${program} is missing; run make setup`);
  }
  const start = await startUp();
  const up = await upstream();
  const json = `log_format j escape=json '{"t":"$time_iso8601","m":"$request_method","u":"$request_uri","s":$status,"b":$body_bytes_sent,"d":$request_time,"h":"$host","a":"$http_user_agent","c":"$remote_addr"}';
    access_log /dev/null j;`;
  const off = { WEIR_GATEWAY__CAPTURE__ENABLED: "false" };
  const headers = { WEIR_GATEWAY__CAPTURE__REQUEST_BODY_BYTES: "0", WEIR_GATEWAY__CAPTURE__RESPONSE_BODY_BYTES: "0" };
  const BASE = "nginx, log off";
  const all = {
    [BASE]: (name) => nginxProxy(name, up, ""),
    "nginx, JSON log": (name) => nginxProxy(name, up, json),
    "haproxy, log off": () => haproxy(up),
    "weir, capture off": (name) => weirProxy(name, up, off),
    "weir, headers": (name) => weirProxy(name, up, headers),
    "weir, headers and bodies": (name) => weirProxy(name, up, {}),
    "weir gateway, recording off": (name) => recordingProxy(name, up, null),
    "weir gateway, recording on": (name) => recordingProxy(name, up, {}),
    "weir gateway, recording detailed": (name) => recordingProxy(name, up, { enable_detailed_recording: true }),
  };
  const proxies = [];
  for (const [name, begin] of Object.entries(all)) {
    if (name === BASE || name.includes(options.only)) proxies.push(await begin(name));
  }
  const results = [];
  for (const [title, load] of Object.entries(LOADS)) {
    const samples = new Map(proxies.map((proxy) => [proxy.name, []]));
    for (let round = 0; round <= rounds; round += 1) {
      for (const proxy of proxies) {
        const before = used(proxy.pid, proxy.threads);
        const run = await wrk(proxy.port, load);
        if (proxy.server) await settled(proxy);
        const records = proxy.records && (await written(proxy.records));
        const after = used(proxy.pid, proxy.threads);
        if (run.errors) fail(`${proxy.name}: ${run.errors} errors in ${run.calls} calls`);
        // The first round warms up.
        if (round === 0) continue;
        const each = (part) => ((after[part] - before[part]) * 1e6) / run.calls;
        samples.get(proxy.name).push({ all: each("all"), part: each("part"), records: records / run.calls, ...run });
      }
    }
    const base = median(samples.get("nginx, log off").map((sample) => sample.all));
    for (const proxy of proxies) {
      const of = (key) => median(samples.get(proxy.name).map((sample) => sample[key]));
      const row = { load: title, proxy: proxy.name, microseconds: of("all"), ratio: of("all") / base };
      if (proxy.threads) Object.assign(row, { proxyMicroseconds: of("part"), proxyRatio: of("part") / base });
      Object.assign(row, { perSecond: of("perSecond"), p50: of("p50"), p99: of("p99") });
      row.megabytes = resident(proxy.pid);
      if (proxy.server) row.kept = await kept(proxy);
      // Calls that were under way when the time was up are recorded, but not counted by wrk.
      if (proxy.records) row.kept = Math.min(1, of("records"));
      row.samples = samples.get(proxy.name).map((sample) => sample.all);
      results.push(row);
    }
  }
  show(results, start);
  const report = { at: new Date().toISOString(), processor: cpus()[0].model, processors: cpus().length, rounds, seconds, start, results };
  mkdirSync(join(here, "results"), { recursive: true });
  writeFileSync(join(here, "results", "gateway.json"), JSON.stringify(report, null, 2));
}

function show(results, start) {
  const head = ["load", "proxy", "us/call", "x nginx", "proxy us", "x nginx", "calls/s", "p50 ms", "p99 ms", "MB", "kept %"];
  const number = (value, digits) => (value === undefined || value === null ? "" : value.toFixed(digits));
  const rows = results.map((row) => [
    row.load,
    row.proxy,
    number(row.microseconds, 1),
    number(row.ratio, 2),
    number(row.proxyMicroseconds, 1),
    number(row.proxyRatio, 2),
    number(row.perSecond, 0),
    number(row.p50, 2),
    number(row.p99, 2),
    number(row.megabytes, 0),
    number(row.kept && row.kept * 100, 1),
  ]);
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column].length)));
  const line = (cells) => cells.map((cell, column) => (column < 2 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]))).join("  ");
  console.log([head, ...rows].map(line).join("\n"));
  console.log(`\nstart to ready: ${number(start.milliseconds, 0)} ms, resident after start: ${number(start.megabytes, 0)} MB`);
}

process.on("SIGINT", () => fail("interrupted"));
try {
  await main();
} catch (error) {
  fail(error.stack);
}
await stop();
process.exit(0);
