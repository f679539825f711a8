/** What the browser tests share: a browser, an API behind the gateway that says what it got, and traffic through it. */
import { execFile, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import axe from "axe-core";
import { chromium, type Browser, type Page } from "playwright-core";
import { expect } from "vitest";

function setting(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: the browser tests need a running weir without any calls in it (scripts/e2e.sh starts one)`);
  return value.replace(/\/$/, "");
}

export const WEIR = setting("WEIR_URL");
export const SHOTS = process.env.WEIR_SHOTS ?? new URL("./out/", import.meta.url).pathname;
mkdirSync(SHOTS, { recursive: true });

const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

export const launch = (): Promise<Browser> => chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });

/** Everything that should never happen on any page. */
export const complaints: string[] = [];

export type Look = { theme?: "light" | "dark"; width?: number; height?: number };

export async function open(browser: Browser, path: string, { theme = "light", width = 1440, height = 900 }: Look = {}): Promise<Page> {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, locale: "en-GB", timezoneId: "UTC", permissions: ["clipboard-read", "clipboard-write"] });
  context.setDefaultTimeout(15_000);
  const page = await context.newPage();
  const own = new URL(path, WEIR).host;
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (/^https?:$/.test(url.protocol) && url.host !== own) complaints.push(`a request to another host: ${request.url()}`);
  });
  page.on("pageerror", (error) => complaints.push(`uncaught: ${error.message}`));
  page.on("console", (message) => {
    // A refused query is told to the reader; the browser also logs it.
    if (message.type() === "error" && !/Failed to load resource/.test(message.text())) complaints.push(`console: ${message.text()}`);
  });
  await page.goto(path.startsWith("http") ? path : WEIR + path);
  return page;
}

export type Running = { address: string; stop(): void };

/** A weir of its own, with a gateway that this declarative file configures, and further settings. */
export async function startWeir(declarative: string, settings: Record<string, string> = {}): Promise<Running> {
  const folder = mkdtempSync(join(tmpdir(), "weir-e2e-"));
  writeFileSync(join(folder, "gateway.yaml"), declarative);
  const listen = { PROXY_LISTEN: "127.0.0.1:0", PROXY_TLS_LISTEN: "off", ADMIN_LISTEN: "off", DECLARATIVE_CONFIG: join(folder, "gateway.yaml") };
  const env = { ...process.env, WEIR_DATA_DIR: join(folder, "data"), WEIR_SERVER__LISTEN: "127.0.0.1:0", ...Object.fromEntries(Object.entries(listen).map(([name, value]) => [`WEIR_GATEWAY__${name}`, value])) };
  // The addresses of the weir under test are no settings of this one.
  for (const name of ["WEIR_URL", "WEIR_PROXY_URL", "WEIR_ADMIN_URL", "WEIR_SHOTS", "WEIR_PROGRAM"]) delete (env as NodeJS.ProcessEnv)[name];
  const child = spawn(setting("WEIR_PROGRAM"), ["run"], { env: { ...env, ...settings }, stdio: "ignore" });
  const stop = () => {
    child.once("exit", () => rmSync(folder, { recursive: true, force: true }));
    child.kill();
  };
  let address = "";
  await eventually(async () => {
    address = (JSON.parse(readFileSync(join(folder, "data", "run.json"), "utf8")) as { server: string }).server;
    expect((await fetch(`http://${address}/readyz`)).status).toBe(200);
  });
  return { address: `http://${address}`, stop };
}

/** Serious findings of axe on what is shown now. */
export async function findings(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const result = await page.evaluate(() => (window as unknown as { axe: typeof axe }).axe.run(document, { resultTypes: ["violations"] }));
  return result.violations
    .filter((violation) => violation.impact === "serious" || violation.impact === "critical")
    .flatMap((violation) => violation.nodes.map((node) => `${violation.id}: ${node.target.join(" ")}: ${node.failureSummary ?? ""}`));
}

export async function shot(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: `${SHOTS}/${name}.png` });
}

export type Got = { method: string; url: string; headers: IncomingHttpHeaders; body: Buffer };

/** An API that answers with the status in its path and remembers what it got last. */
export async function startApi(): Promise<{ address: string; server: Server; last(): Got | null }> {
  let last: Got | null = null;
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      last = { method: request.method!, url: request.url!, headers: request.headers, body: Buffer.concat(parts) };
      const status = Number(/\/status\/(\d{3})/.exec(request.url!)?.[1] ?? 200);
      response.writeHead(status, { "content-type": "application/json" });
      const failed = status >= 400 ? { error: { code: "declined", message: "card declined" } } : { ok: true };
      response.end(JSON.stringify({ ...failed, path: request.url, items: [{ sku: "A-1", price: 1.10 }], note: "left \u202e right" }));
    });
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return { address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server, last: () => last };
}

/** Runs lines as a person would who pastes them in a terminal. */
export function shell(command: string): Promise<string> {
  return new Promise((done, fail) => {
    execFile("/bin/sh", ["-c", command], { env: { ...process.env, no_proxy: "*" } }, (error, stdout, stderr) => (error ? fail(new Error(`${command}\n${stderr}`)) : done(stdout)));
  });
}

const PATHS = ["/status/200/customers", "/status/200/charges/ch_1", "/status/201/charges", "/status/404/missing", "/status/502/charges", "/search?q=caf%C3%A9&page=2"];

/** Calls through the gateway, a known mix. */
export async function send(base: string, count: number): Promise<void> {
  const before = await kept();
  for (let at = 0; at < count; at += 1) {
    const path = PATHS[at % PATHS.length]!;
    const post = path.includes("201");
    const body = post ? JSON.stringify({ amount: at, note: "it's \"quoted\" & 100% `real` $HOME\n" }) : undefined;
    await fetch(`${base}/my-api${path}`, { method: post ? "POST" : "GET", headers: { "x-note": "it's $(id)", ...(post ? { "content-type": "application/json" } : {}) }, body });
  }
  await eventually(async () => expect(await kept()).toBeGreaterThanOrEqual(before + count));
}

/** How many calls through the gateway weir has kept: it takes up to half a second after the answer. */
async function kept(): Promise<number> {
  const answer = await fetch(`${WEIR}/api/v1/exchanges?limit=1&q=source:gateway`);
  return ((await answer.json()) as { total: { value: number } }).total.value;
}

/** Waits until something holds, looking again and again. */
export async function eventually(check: () => Promise<void>, milliseconds = 15_000): Promise<void> {
  const end = Date.now() + milliseconds;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((done) => setTimeout(done, 150));
    }
  }
}

/** The number of calls that the page says match. */
export async function total(page: Page): Promise<number> {
  const text = await page.locator("[role=status]", { hasText: /calls?/ }).filter({ hasNotText: "dropped" }).first().innerText();
  return Number(/([\d,]+) calls?/.exec(text)?.[1]?.replaceAll(",", "") ?? NaN);
}

export const expectTotal = (page: Page, wanted: (count: number) => boolean, why: string): Promise<void> =>
  eventually(async () => {
    const count = await total(page);
    expect(wanted(count), `${why}; it says ${count}`).toBe(true);
  });
