// StatsD itself, with a backend that keeps what it was told: server.cjs MODULES
// Prints its address, then after each line of input the timers and counters of all flushes so far. Ends with its input.
"use strict";

const dgram = require("node:dgram");
const fs = require("node:fs");
const net = require("node:net");
const os = require("node:os");
const path = require("node:path");
const readline = require("node:readline");

const [modules] = process.argv.slice(2);
const say = console.log;
// StatsD talks of itself.
console.log = () => {};
const seen = { timers: {}, timer_counters: {}, counters: {} };

// What StatsD asks of a backend.
exports.init = (_started, _config, events) => {
  events.on("flush", (_at, { timers, timer_counters, counters }) => {
    for (const [name, values] of Object.entries(timers)) (seen.timers[name] ??= []).push(...values);
    for (const [kind, values] of Object.entries({ timer_counters, counters })) {
      for (const [name, value] of Object.entries(values)) seen[kind][name] = (seen[kind][name] ?? 0) + value;
    }
  });
  return true;
};

async function freePorts() {
  const datagrams = dgram.createSocket("udp4");
  await new Promise((done) => datagrams.bind(0, "127.0.0.1", done));
  const port = datagrams.address().port;
  await new Promise((done) => datagrams.close(done));
  const streams = net.createServer();
  await new Promise((done) => streams.listen(0, "127.0.0.1", done));
  const management = streams.address().port;
  await new Promise((done) => streams.close(done));
  return [port, management];
}

async function main() {
  const [port, management] = await freePorts();
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "statsd-"));
  const config = path.join(folder, "config.js");
  const settings = {
    servers: [{ server: "./servers/udp", address: "127.0.0.1", port }],
    mgmt_address: "127.0.0.1",
    mgmt_port: management,
    flushInterval: 100,
    backends: [__filename],
    deleteIdleStats: true,
  };
  fs.writeFileSync(config, JSON.stringify(settings));
  process.argv[2] = config;
  require(path.join(modules, "statsd", "stats.js"));
  for (;;) {
    const socket = net.connect(management, "127.0.0.1");
    const open = await new Promise((done) => socket.once("connect", () => done(true)).once("error", () => done(false)));
    socket.destroy();
    if (open) break;
  }
  say(`127.0.0.1:${port}`);
  const input = readline.createInterface({ input: process.stdin });
  input.on("line", () => say(JSON.stringify(seen)));
  input.on("close", () => {
    fs.rmSync(folder, { recursive: true });
    process.exit();
  });
}

if (require.main === module) main();
