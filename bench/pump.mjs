// From Redis to an output: records a second, processor time for each, peak memory.
//   node bench/pump.mjs --weir target/release/weir [--output csv,store] [--records 200000,2000000] [--rounds 3]
// The record is one that a real gateway wrote; --vector names another. The output `original` is Tyk Pump itself writing CSV,
// when --original names its program: v0.8.5 of its repository builds with `GO111MODULE=off go build` and what it vendors.
// Rounds take turns among the outputs, so that whatever else the machine does falls on all alike.
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { cpus, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const option = (name, otherwise) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? otherwise : process.argv[at + 1];
};
const weirBinary = option("weir", "target/release/weir");
const backlogs = option("records", "200000").split(",").map(Number);
const outputs = option("output", "csv,store").split(",");
const vector = option("vector", "live-keyless-get");
const rounds = Number(option("rounds", "3"));
const originalBinary = option("original");
const vectors = JSON.parse(readFileSync(new URL("../crates/wire/testdata/vectors/tyk-records.json", import.meta.url)));
const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

// A free port below those that are given to connections.
async function freePort() {
  for (;;) {
    const port = 20000 + Math.floor(Math.random() * 10000);
    const free = await new Promise((done) => {
      const server = net.createServer().once("error", () => done(false));
      server.listen(port, "127.0.0.1", () => server.close(() => done(true)));
    });
    if (free) return port;
  }
}

async function redisAt(port) {
  const child = spawn("redis-server", ["--port", port, "--save", "", "--bind", "127.0.0.1"], { stdio: "ignore" });
  for (;;) {
    const socket = net.connect(port, "127.0.0.1");
    const open = await new Promise((done) => socket.once("connect", () => done(true)).once("error", () => done(false)));
    if (open) return { child, socket };
    await pause(20);
  }
}

function ask(socket, ...words) {
  const command = Buffer.concat([
    Buffer.from(`*${words.length}\r\n`),
    ...words.flatMap((word) => {
      const bytes = Buffer.isBuffer(word) ? word : Buffer.from(String(word));
      return [Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from("\r\n")];
    }),
  ]);
  return new Promise((done) => {
    socket.once("data", (data) => done(data.toString()));
    socket.write(command);
  });
}

const list = "analytics-tyk-system-analytics";

// The same record again and again.
async function fill(socket, records) {
  const hex = vectors.vectors.find(({ name }) => name === vector).msgpack_hex;
  const value = Buffer.from(hex, "hex");
  for (let sent = 0; sent < records; sent += 1000) {
    const values = Array.from({ length: Math.min(1000, records - sent) }, () => value);
    await ask(socket, "RPUSH", list, ...values);
  }
  return value.length;
}

function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function peakMegabytes(pid) {
  return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]) / 1024;
}

// Lines of the files in a folder, without their headers.
function rows(folder) {
  let lines = 0;
  for (const name of readdirSync(folder, { withFileTypes: true }).map((entry) => entry.name)) {
    const bytes = readFileSync(join(folder, name));
    for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) lines += 1;
    lines -= 1;
  }
  return lines;
}

async function storedIn(data) {
  const { server } = JSON.parse(readFileSync(join(data, "run.json")));
  const ledger = await (await fetch(`http://${server}/api/v1/ledger`)).json();
  return ledger.targets.find((target) => target.name === "store").delivered;
}

// How each output is started; `taken` is what Redis answers 0 to when nothing is left there.
function startWeir(output, port, folder) {
  const environment = {
    ...process.env,
    WEIR_DATA_DIR: join(folder, "data"),
    WEIR_LOG__LEVEL: "warn",
    WEIR_SERVER__LISTEN: "127.0.0.1:0",
    WEIR_PUMP__ENABLED: "true",
    WEIR_PUMP__REDIS__HOST: "127.0.0.1",
    WEIR_PUMP__REDIS__PORT: String(port),
  };
  if (output === "csv") {
    const config = { csv_dir: join(folder, "csv") };
    environment.WEIR_TARGETS = JSON.stringify({ csv: { kind: "csv", config } });
  }
  const role = output === "csv" ? "pump" : "server";
  const stdio = ["ignore", "inherit", "inherit"];
  return { taken: ["DBSIZE"], pump: spawn(weirBinary, [role], { env: environment, stdio }) };
}

async function startOriginal(port, folder) {
  const settings = {
    analytics_storage_type: "redis",
    analytics_storage_config: { type: "redis", host: "127.0.0.1", port },
    purge_delay: 1,
    health_check_endpoint_port: await freePort(),
    dont_purge_uptime_data: true,
    pumps: { csv: { type: "csv", meta: { csv_dir: join(folder, "csv") } } },
  };
  const file = join(folder, "pump.conf");
  writeFileSync(file, JSON.stringify(settings));
  return { taken: ["EXISTS", list], pump: spawn(originalBinary, ["--conf", file], { stdio: "ignore" }) };
}

async function run(output, records) {
  const folder = mkdtempSync(join(tmpdir(), "weir-pump-"));
  const port = await freePort();
  const { child: redis, socket } = await redisAt(port);
  const size = await fill(socket, records);
  const began = performance.now();
  const { pump, taken } =
    output === "original" ? await startOriginal(port, folder) : startWeir(output, port, folder);
  while (!(await ask(socket, ...taken)).startsWith(":0")) await pause(20);
  const drained = (performance.now() - began) / 1000;
  // Delivered when the process has nothing more to do for a while: a last batch waits a second for company.
  let busy = cpuSeconds(pump.pid);
  let end = performance.now();
  while (performance.now() - end < 1_500) {
    await pause(100);
    const now = cpuSeconds(pump.pid);
    if (now - busy < 0.02) continue;
    busy = now;
    end = performance.now();
  }
  const whole = (end - began) / 1000;
  const arrived = output === "store" ? await storedIn(join(folder, "data")) : rows(join(folder, "csv"));
  if (arrived !== records) throw new Error(`${output}: ${arrived} of ${records} records arrived`);
  const result = {
    to_journal_per_second: Math.round(records / drained),
    to_output_per_second: Math.round(records / whole),
    cpu_us_per_record: Number(((busy / records) * 1e6).toFixed(2)),
    peak_mb: Math.round(peakMegabytes(pump.pid)),
    bytes_each: size,
  };
  pump.kill("SIGTERM");
  await new Promise((done) => pump.once("exit", done));
  socket.destroy();
  redis.kill();
  rmSync(folder, { recursive: true, force: true });
  return result;
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const results = [];
for (const records of backlogs) {
  const samples = new Map(outputs.map((output) => [output, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const output of outputs) samples.get(output).push(await run(output, records));
  }
  for (const [output, measured] of samples) {
    const row = { output, records };
    for (const name of Object.keys(measured[0])) row[name] = median(measured.map((sample) => sample[name]));
    row.peak_mb = Math.max(...measured.map((sample) => sample.peak_mb));
    row.samples = measured.map((sample) => sample.cpu_us_per_record);
    console.log(JSON.stringify(row));
    results.push(row);
  }
}
const report = { at: new Date().toISOString(), processor: cpus()[0].model, processors: cpus().length, rounds, vector, results };
const folder = join(dirname(fileURLToPath(import.meta.url)), "results");
mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, `pump-${outputs.join("-")}.json`), JSON.stringify(report, null, 2));
