// From Redis to an output: records a second, CPU for each, peak memory.
//   node bench/pump.mjs --weir target/release/weir [--records 200000] [--output csv|store]
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const option = (name, otherwise) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? otherwise : process.argv[at + 1];
};
const weirBinary = option("weir", "target/release/weir");
const records = Number(option("records", "200000"));
const outputs = option("output", "csv,store").split(",");
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

// The same record again and again, its path numbered within the same length.
async function fill(socket) {
  const hex = vectors.vectors.find((vector) => vector.name === "typical-get").msgpack_hex;
  const value = Buffer.from(hex, "hex");
  for (let sent = 0; sent < records; sent += 1000) {
    const values = Array.from({ length: Math.min(1000, records - sent) }, () => value);
    await ask(socket, "RPUSH", "analytics-tyk-system-analytics", ...values);
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

async function run(output) {
  const folder = mkdtempSync(join(tmpdir(), "weir-pump-"));
  const port = await freePort();
  const { child: redis, socket } = await redisAt(port);
  const size = await fill(socket);
  const environment = {
    ...process.env,
    WEIR_DATA_DIR: join(folder, "data"),
    WEIR_LOG__LEVEL: "warn",
    WEIR_SERVER__LISTEN: "127.0.0.1:0",
    WEIR_PUMP__ENABLED: "true",
    WEIR_PUMP__REDIS__HOST: "127.0.0.1",
    WEIR_PUMP__REDIS__PORT: String(port),
    WEIR_PUMP__DELAY: "20ms",
  };
  if (output === "csv") {
    environment.WEIR_TARGETS = JSON.stringify({ csv: { kind: "csv", config: { csv_dir: join(folder, "csv") } } });
  }
  const began = performance.now();
  const weir = spawn(weirBinary, [output === "csv" ? "pump" : "server"], { env: environment, stdio: ["ignore", "inherit", "inherit"] });
  while (!(await ask(socket, "DBSIZE")).startsWith(":0")) await pause(20);
  const drained = (performance.now() - began) / 1000;
  const drainedCpu = cpuSeconds(weir.pid);
  // Delivered when the process has nothing more to do.
  let busy = drainedCpu;
  let end = performance.now();
  for (;;) {
    await pause(500);
    const now = cpuSeconds(weir.pid);
    if (now - busy < 0.02) break;
    busy = now;
    end = performance.now();
  }
  const whole = (end - began) / 1000;
  const result = {
    output,
    records,
    bytes_each: size,
    to_journal_per_second: Math.round(records / drained),
    to_output_per_second: Math.round(records / whole),
    cpu_us_per_record: Number(((busy / records) * 1e6).toFixed(2)),
    peak_mb: Math.round(peakMegabytes(weir.pid)),
  };
  weir.kill("SIGTERM");
  await new Promise((done) => weir.once("exit", done));
  socket.destroy();
  redis.kill();
  rmSync(folder, { recursive: true, force: true });
  return result;
}

for (const output of outputs) console.log(JSON.stringify(await run(output)));
