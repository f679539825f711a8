/** Calls seen by endpoint, version, key, client, tag, error and country: of records that came through a real Redis and the pump. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { record, startRedis, type Call, type Redis } from "./redis";
import { eventually, expectTotal, findings, open, shot, startWeir, type Running } from "./support";

const MINUTE = 60_000;
const REQUEST = 'POST /widgets/orders HTTP/1.1\r\nHost: api.example\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{"amount":120}';
const RESPONSE = 'HTTP/1.1 502 Bad Gateway\r\nContent-Type: application/json\r\nContent-Length: 22\r\n\r\n{"error":"card_broken"}';

/** A known mix: 60 calls in the last hours, and ten in the day before. */
function calls(now: number): Call[] {
  const mix: Call[] = [];
  const add = (count: number, call: Omit<Call, "at">, from = now) => {
    for (let at = 0; at < count; at += 1) mix.push({ ...call, at: from - (at + 1) * 3 * MINUTE });
  };
  add(30, { path: "/widgets/list", ms: 20, country: "DE", key: "52540d0b", alias: "team-blue", version: "v2", tags: ["gold", "edge-a"] });
  add(12, { path: "/widgets/search", ms: 900, country: "NO", key: "3f0cbe7d", tags: ["edge-a"], oauth: "client-7-0123456789abcdef0123456789" });
  add(8, { path: "/widgets/orders", method: "POST", status: 502, ms: 60, country: "SG", api: "Orders", version: "v1", request: REQUEST, response: RESPONSE });
  add(6, { path: "/widgets/orders", method: "POST", status: 404, ms: 5, country: "DE", api: "Orders", version: "v2" });
  add(4, { path: "/widgets/list", ms: 20 });
  add(10, { path: "/widgets/list", ms: 20, country: "DE", key: "52540d0b" }, now - 25 * 60 * MINUTE);
  return mix;
}

const lines = (page: Page) => page.locator("tbody tr");
const line = (page: Page, text: string | RegExp) => lines(page).filter({ hasText: text });
const figures = async (page: Page, text: string | RegExp) => (await line(page, text).first().innerText()).split(/\s*\t\s*|\n/).map((part) => part.trim()).filter((part) => part !== "");

export function viewTests(browser: () => Browser): void {
  describe("what Tyk's gateways recorded", () => {
    let redis: Redis;
    let weir: Running;
    const at = (path: string, look = {}) => open(browser(), weir.address + path, look);
    const stored = async (q: string) => ((await (await fetch(`${weir.address}/api/v1/exchanges?limit=1&q=${encodeURIComponent(q)}`)).json()) as { total: { value: number } }).total.value;

    beforeAll(async () => {
      redis = await startRedis();
      await redis.push("analytics-tyk-system-analytics", calls(Date.now()).map(record));
      weir = await startWeir('_format_version: "3.0"\n', { WEIR_PUMP__ENABLED: "true", WEIR_PUMP__REDIS__HOST: "127.0.0.1", WEIR_PUMP__REDIS__PORT: String(redis.port), WEIR_PUMP__DELAY: "20ms" });
      await eventually(async () => expect(await stored("")).toBe(70));
    });
    afterAll(() => {
      weir?.stop();
      redis?.stop();
    });

    test("endpoints: popular, slow and failing ones, with what changed, each leading to its calls", async () => {
      const page = await at("/endpoints");
      await line(page, "/widgets/list").waitFor();
      expect(await lines(page).count()).toBe(3);
      expect(await lines(page).first().innerText()).toContain("/widgets/list");
      await eventually(async () => expect(await figures(page, "/widgets/list")).toEqual(expect.arrayContaining(["34", "57 %", "+240 %"])));
      await page.getByRole("button", { name: "p95" }).click();
      await page.waitForURL(/measure=p95/);
      await eventually(async () => expect(await lines(page).first().innerText()).toContain("/widgets/search"));
      await page.getByRole("button", { name: "failed" }).click();
      await eventually(async () => expect(await lines(page).first().innerText()).toMatch(/POST[\s\S]*57 %/));
      await line(page, "/widgets/orders").getByTitle("the failed calls in Traffic").click();
      await page.waitForURL(/\/traffic/);
      await expectTotal(page, (count) => count === 8, "the failed ones of the endpoint");
      await page.goBack();
      await page.getByRole("searchbox", { name: "Find endpoint" }).fill("search");
      await eventually(async () => expect(await lines(page).count()).toBe(1));
      expect(page.url()).toContain("find=search");
      await line(page, "search").getByRole("link", { name: /^Overview of GET/ }).click();
      await page.waitForURL(/\/overview\?q=method:GET\+endpoint:\/widgets\/widgets\/search/);
      await page.getByRole("region", { name: "Countries" }).getByText("Norway").waitFor();
      await page.context().close();
    });

    test("services and versions are crossed; a line's name leads to exactly its calls", async () => {
      const page = await at("/endpoints?by=version");
      await line(page, "Orders").first().waitFor();
      expect(await lines(page).count()).toBe(4);
      await line(page, /Orders\s+v1/).getByRole("link").first().click();
      await page.waitForURL(/attribute\.tyk\.api_version:v1/);
      await expectTotal(page, (count) => count === 8, "calls of that version");
      await page.context().close();
    });

    test("by tag, key with its alias, and OAuth client", async () => {
      const page = await at("/endpoints?by=tag");
      await eventually(async () => expect(await figures(page, "edge-a")).toContain("42"));
      expect(await figures(page, /^\s*gold/)).toContain("30");
      await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Users" }).click();
      await page.getByRole("link", { name: "Keys" }).click();
      await line(page, "team-blue").waitFor();
      await page.getByRole("link", { name: "OAuth clients" }).click();
      await line(page, "client-7-0123456789abcdef0123456789").getByRole("link").first().click();
      await expectTotal(page, (count) => count === 12, "calls of the client");
      await page.context().close();
    });

    test("a query narrows every figure of a screen, and a mistake in it is told in its place", async () => {
      const page = await at("/endpoints");
      await line(page, "/widgets/list").waitFor();
      await page.keyboard.press("/");
      await page.keyboard.type("country:NO");
      await page.keyboard.press("Enter");
      await page.waitForURL(/\/endpoints\?q=country:NO/);
      await eventually(async () => expect(await lines(page).count()).toBe(1));
      await page.getByRole("navigation", { name: "Endpoints by" }).getByRole("link", { name: "Services" }).click();
      await eventually(async () => expect(await figures(page, "Widgets")).toContain("12"));
      await page.getByRole("combobox", { name: "Query" }).fill("latency:>fast");
      await page.getByRole("combobox", { name: "Query" }).press("Enter");
      await page.getByRole("alert").filter({ hasText: /fast/ }).waitFor();
      await page.context().close();
    });

    test("errors by status over time, by endpoint and key; nothing that succeeded", async () => {
      const page = await at("/errors");
      await line(page, "502").waitFor();
      expect(await lines(page).count()).toBe(2);
      expect(await figures(page, "502")).toEqual(expect.arrayContaining(["8", "13 %"]));
      await page.getByRole("application", { name: /^Calls by status: 502 up to/ }).waitFor();
      await page.getByRole("navigation", { name: "Errors by" }).getByRole("link", { name: "Services" }).click();
      await eventually(async () => expect(await figures(page, "Orders")).toContain("14"));
      await page.getByRole("navigation", { name: "Errors by" }).getByRole("link", { name: "Status codes" }).click();
      await line(page, "404").getByRole("link").first().click();
      await page.waitForURL(/\/traffic\?q=status:404/);
      await expectTotal(page, (count) => count === 6, "those with the status");
      await page.context().close();
    });

    test("countries on the map and in the table, by keyboard too; the unknown ones are counted", async () => {
      const page = await at("/countries");
      await line(page, "Germany").waitFor();
      expect(await figures(page, "Germany")).toEqual(expect.arrayContaining(["36", "60 %"]));
      expect(await figures(page, "unknown")).toContain("4");
      await page.getByText(/4 calls of no known country \(6\.7 %\)/).waitFor();
      const map = page.getByRole("application", { name: /^World map, calls by country: Germany 36 calls, Norway 12 calls/ });
      await map.focus();
      await page.keyboard.press("ArrowRight");
      await page.keyboard.press("ArrowRight");
      await page.getByText("Singapore: 8 calls").waitFor({ state: "attached" });
      await page.keyboard.press("Enter");
      await page.waitForURL(/\/traffic\?q=country:SG/);
      await expectTotal(page, (count) => count === 8, "calls from there");
      await page.goBack();
      await page.locator('[data-country="DE"]').hover();
      await page.getByText("Germany 36 calls").waitFor();
      await page.getByLabel("Colour by").selectOption("failed");
      await page.waitForURL(/measure=failed/);
      await eventually(async () => expect(await lines(page).first().innerText()).toContain("Singapore"));
      await page.context().close();
    });

    test("a record opens as a call: request and response taken apart, the rest as facts", async () => {
      const page = await at("/traffic?q=status:502");
      await page.locator("[role=grid] [role=row][aria-rowindex='2']").click();
      const call = page.getByRole("complementary", { name: "One call" });
      await call.getByText("Orders").first().waitFor();
      await call.getByText("card_broken").first().waitFor();
      await call.getByText("tyk.api_version").waitFor();
      await shot(page, "tyk-call");
      await page.context().close();
    });

    test("the screens shut nobody out, in both themes, wide and narrow", async () => {
      for (const [name, path, ready] of [["endpoints", "/endpoints", "/widgets/list"], ["errors", "/errors", "502"], ["keys", "/callers", "team-blue"], ["countries", "/countries", "Germany"]] as const) {
        for (const theme of ["light", "dark"] as const) {
          for (const width of [1440, 390]) {
            const page = await at(path, { theme, width });
            await line(page, ready).first().waitFor();
            await page.waitForTimeout(300); // charts are drawn after their answers
            expect(await findings(page), `${name} ${theme} ${width}`).toEqual([]);
            const wider = await page.evaluate(() => document.querySelector("main")!.scrollWidth - document.querySelector("main")!.clientWidth);
            expect(wider, `${name} scrolls sideways at ${width}`).toBeLessThanOrEqual(0);
            await shot(page, `${name}-${theme}-${width}`);
            await page.context().close();
          }
        }
      }
    });
  });
}
