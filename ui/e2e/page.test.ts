/** The page in a real browser against a real weir. The tests build on each other: the first one finds it empty. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { gatewayTests } from "./gateway";
import { peopleTests } from "./people";
import { complaints, eventually, expectTotal, findings, launch, open, send, shell, shot, startApi, total, WEIR } from "./support";
import { viewTests } from "./views";

let browser: Browser;
let api: Awaited<ReturnType<typeof startApi>>;
/** Where the gateway takes calls, as the page says it. */
let proxy = "";

beforeAll(async () => {
  browser = await launch();
  api = await startApi();
});
afterAll(async () => {
  await browser?.close();
  api?.server.close();
});

const rows = (page: Page) => page.locator("[role=grid] [role=row][aria-rowindex]:not([aria-rowindex='1'])");
const cell = (page: Page, row: number, column: string) => page.locator(`[role=row][aria-rowindex="${row + 1}"] [role=gridcell]`).nth(["time", "method", "status", "host", "endpoint"].indexOf(column));
const query = (page: Page) => page.getByRole("combobox", { name: "Query" });

async function traffic(path = "/traffic", look = {}): Promise<Page> {
  const page = await open(browser, path, look);
  await rows(page).first().waitFor();
  return page;
}

async function ask(page: Page, text: string): Promise<void> {
  await query(page).fill(text);
  await query(page).press("Enter");
}

describe("from nothing to the first call", () => {
  test("the empty page has nothing that shuts people out, in both themes", async () => {
    for (const theme of ["light", "dark"] as const) {
      for (const width of [1440, 390]) {
        const page = await open(browser, "/", { theme, width });
        await page.getByText("Waiting for the first call").waitFor();
        expect(await findings(page)).toEqual([]);
        await shot(page, `start-${theme}-${width}`);
        await page.context().close();
      }
    }
  });

  test("the commands on the page lead to the first call, which opens by itself", async () => {
    const page = await open(browser, "/");
    await page.getByText("Waiting for the first call").waitFor();
    await page.getByLabel("Where is your API?").fill(api.address);
    const commands = await page.locator("ol pre").allInnerTexts();
    expect(commands).toHaveLength(3);
    for (const command of commands) expect(await shell(`${command} --silent --show-error --fail`)).not.toBe("");
    proxy = /(http:\/\/[^/]+)\/my-api\//.exec(commands[2]!)![1]!;
    await page.getByText("The first call is here").waitFor();
    await page.waitForURL(/\/traffic\?.*call=/);
    await page.getByRole("complementary", { name: "One call" }).getByText("GET", { exact: true }).first().waitFor();
    await page.context().close();
  });

  test("a file of old calls can be dropped in", async () => {
    const page = await open(browser, "/connect");
    await page.getByRole("tab", { name: /From a file/ }).click();
    const line = (status: number) => `203.0.113.9 - - [19/Nov/2026:10:00:00 +0000] "GET /from-a-file HTTP/1.1" ${status} 12 "-" "curl/8"`;
    await page.locator("input[type=file]").setInputFiles({ name: "access.log", mimeType: "text/plain", buffer: Buffer.from(`${line(200)}\nthis is no line of a log\n${line(404)}\n`) });
    await page.getByText(/of \d+ calls taken/).waitFor();
    await page.getByText(/1 not taken/).waitFor();
    await page.context().close();
  });
});

describe("traffic", () => {
  test("a search shows what matches and only that; a mistake is told under its token", async () => {
    await send(proxy, 120);
    const page = await traffic();
    await expectTotal(page, (count) => count >= 120, "all calls");
    await ask(page, "status:502");
    await page.getByRole("button", { name: "status = 502", exact: true }).waitFor();
    await expectTotal(page, (count) => count >= 20 && count < 120, "only the failed ones");
    for (const text of await rows(page).allInnerTexts()) expect(text).toContain("502");
    await ask(page, "latency:>fast");
    await page.getByRole("alert").filter({ hasText: /fast/ }).waitFor();
    // The last good rows are still there.
    expect(await rows(page).count()).toBeGreaterThan(0);
    await ask(page, '"card declined"');
    await expectTotal(page, (count) => count >= 40 && count < 120, "those whose body has the words");
    await page.context().close();
  });

  test("the query bar offers fields, then values with their counts", async () => {
    const page = await traffic();
    await query(page).pressSequentially("meth");
    await page.getByRole("option", { name: /method:/ }).first().waitFor();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.getByRole("option", { name: /^POST/ }).click();
    await page.keyboard.press("Escape");
    await query(page).press("Enter");
    await page.getByRole("button", { name: "method = POST", exact: true }).waitFor();
    await page.context().close();
  });

  test("values filter in and out, and parts of the query can be taken away", async () => {
    const page = await traffic();
    await eventually(async () => expect(await total(page)).toBeGreaterThan(100));
    const all = await total(page);
    await page.getByRole("complementary", { name: "Fields" }).getByRole("button", { name: "404", exact: true }).hover();
    await page.getByRole("button", { name: "Only status 404" }).click();
    await expectTotal(page, (count) => count < all, "fewer calls");
    expect(new URL(page.url()).searchParams.get("q")).toBe("status:404");
    await page.getByRole("button", { name: "Remove status = 404" }).click();
    await expectTotal(page, (count) => count >= all, "all again");
    await cell(page, 1, "method").click({ modifiers: ["Alt"] });
    await eventually(async () => expect(new URL(page.url()).searchParams.get("q")).toMatch(/^-method:(GET|POST)$/));
    await expectTotal(page, (count) => count < all, "without that method");
    await page.goBack();
    await expectTotal(page, (count) => count >= all, "all after going back");
    await page.context().close();
  });

  test("a brush zooms, back undoes it, and a reload keeps the view", async () => {
    const page = await traffic("/traffic?q=method:GET&from=now-15m");
    const chart = page.getByRole("application").locator(".u-over");
    const box = (await chart.boundingBox())!;
    await page.mouse.move(box.x + box.width * 0.2, box.y + 30);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width - 1, box.y + 32, { steps: 6 });
    await page.mouse.up();
    await page.waitForURL(/from=20/);
    const zoomed = page.url();
    expect(zoomed).toContain("q=method:GET");
    await page.reload();
    await rows(page).first().waitFor();
    expect(page.url()).toBe(zoomed);
    await page.goBack();
    await eventually(async () => expect(page.url()).toContain("from=now-15m"));
    expect(page.url()).toContain("q=method:GET");
    await page.context().close();
  });

  test("the histogram can be read and zoomed by keyboard, and is a table too", async () => {
    const page = await traffic();
    const chart = page.getByRole("application");
    expect(await chart.getAttribute("aria-label")).toMatch(/Calls over time: [\d,]+, of them/);
    await chart.focus();
    await page.keyboard.press("End");
    await page.keyboard.press("Shift+ArrowLeft");
    await page.getByText(/2xx \d+/).first().waitFor();
    await page.keyboard.press("Enter");
    await page.waitForURL(/from=20/);
    await page.getByRole("button", { name: "Show as table" }).click();
    expect(await page.getByRole("region", { name: "Calls over time as a table" }).locator("tbody tr").count()).toBeGreaterThan(0);
    await page.context().close();
  });

  test("columns are chosen, moved and kept in the link", async () => {
    const page = await traffic();
    await page.getByRole("columnheader", { name: "Host" }).getByRole("button").click();
    await page.getByRole("menuitem", { name: "Move left" }).click();
    await eventually(async () => expect(decodeURIComponent(page.url())).toContain("cols=time,method,host,status"));
    await page.reload();
    await rows(page).first().waitFor();
    expect(await page.getByRole("columnheader").allInnerTexts()).toEqual(["Time", "Method", "Host", "Status", "Endpoint", "User", "Latency", "Size"]);
    await page.context().close();
  });

  test("scrolling goes on by itself with few elements", async () => {
    const page = await traffic();
    const count = await total(page);
    await page.locator("[role=gridcell][tabindex='0']").focus();
    await page.keyboard.press("Control+End");
    await eventually(async () => {
      await page.keyboard.press("Control+End");
      expect(await page.locator(`[role=row][aria-rowindex="${Math.min(count, 2000) + 1}"]`).count()).toBe(1);
    });
    expect(await rows(page).count()).toBeLessThanOrEqual(150);
    await page.context().close();
  });
});

describe("one call", () => {
  test("shows both sides; a member of the body becomes a filter", async () => {
    const page = await traffic("/traffic?q=status:502");
    await cell(page, 2, "endpoint").click();
    const panel = page.getByRole("complementary", { name: "One call" });
    await panel.getByRole("region", { name: "Request" }).waitFor();
    const tree = panel.getByRole("tree", { name: "response body" });
    await tree.getByText("declined", { exact: true }).first().waitFor();
    // What would reorder the line is a visible mark.
    await tree.getByText("RLO").waitFor();
    await tree.getByRole("button", { name: "code" }).click();
    await page.getByRole("menuitem", { name: /^Only declined/ }).click();
    await eventually(async () => expect(new URL(page.url()).searchParams.get("q")).toContain("response.body.error.code:declined"));
    await expectTotal(page, (found) => found > 0, "calls with that member");
    await page.context().close();
  });

  test("finds words in the body", async () => {
    const page = await traffic("/traffic?q=status:502");
    await cell(page, 1, "endpoint").click();
    await page.getByRole("textbox", { name: "Find in response body" }).fill("A-1");
    await page.getByText("1 of 1").waitFor();
    await page.context().close();
  });

  test("copied as cURL it sends the same bytes again", async () => {
    const page = await traffic("/traffic?q=method:POST");
    await cell(page, 1, "endpoint").click();
    await page.getByRole("button", { name: "Copy as cURL" }).click();
    await page.getByText("Copied as cURL").waitFor();
    const command = await page.evaluate(() => navigator.clipboard.readText());
    const body = await page.evaluate(async () => {
      const id = new URLSearchParams(location.search).get("call");
      return (await fetch(`/api/v1/exchanges/${id}/request/body`)).text();
    });
    await shell(`${command} --silent --show-error`);
    await eventually(async () => expect(api.last()?.body.toString()).toBe(body));
    expect(api.last()?.method).toBe("POST");
    expect(api.last()?.headers["x-note"]).toBe("it's $(id)");
    await page.context().close();
  });

  test("has its own page and a HAR", async () => {
    const page = await traffic();
    await cell(page, 1, "endpoint").click();
    await page.getByRole("button", { name: "Open on its own page" }).click();
    await page.waitForURL(/\/traffic\/[^?]+/);
    await page.getByRole("heading", { level: 1 }).waitFor();
    const id = /\/traffic\/([^?]+)/.exec(page.url())![1];
    const har = (await (await fetch(`${WEIR}/api/v1/exchanges/${id}/har`)).json()) as { log: { entries: unknown[] } };
    expect(har.log.entries).toHaveLength(1);
    await page.keyboard.press("Escape");
    await page.waitForURL(/\/traffic\?.*call=/);
    await page.context().close();
  });

  test("one that is gone is said so", async () => {
    const page = await open(browser, "/traffic/00000000-0000-7000-8000-000000000000");
    await page.getByText("This call is not here").waitFor();
    await page.context().close();
  });
});

describe("the same query drawn otherwise", () => {
  test("as a chart, by the values of a field", async () => {
    const page = await traffic("/traffic?from=now-1h");
    await page.getByRole("navigation", { name: "Views" }).getByRole("link", { name: "Chart" }).click();
    await page.getByRole("application", { name: /^Latency over time: p50 up to/ }).waitFor();
    await page.getByRole("combobox", { name: "by", exact: true }).selectOption("status");
    await page.getByRole("combobox", { name: "Show", exact: true }).selectOption({ label: "Calls" });
    await page.getByRole("application", { name: /^Calls over time: .*502 up to/ }).waitFor();
    expect(page.url()).toMatch(/tab=chart&measure=calls&by=status/);
    expect(await page.getByRole("navigation", { name: "Views" }).locator("[aria-current=page]").allInnerTexts()).toEqual(["Chart"]);
    await page.context().close();
  });

  test("as a list of the most, whose values filter in and out", async () => {
    const page = await traffic("/traffic?from=now-1h");
    await page.getByRole("navigation", { name: "Views" }).getByRole("link", { name: "Top" }).click();
    await page.getByRole("combobox", { name: "Top", exact: true }).selectOption("status");
    const list = page.getByRole("table", { name: "Top status" });
    await list.getByRole("button", { name: "502" }).click();
    await page.waitForURL(/q=status:502/);
    await eventually(async () => expect(await list.getByRole("row").count()).toBe(2));
    await page.goBack();
    await list.getByRole("button", { name: "404" }).click({ modifiers: ["Alt"] });
    await page.waitForURL(/q=-status:404/);
    await eventually(async () => expect(await list.getByRole("button", { name: "404" }).count()).toBe(0));
    await page.getByRole("navigation", { name: "Views" }).getByRole("link", { name: "Calls" }).click();
    await rows(page).first().waitFor();
    expect(page.url()).toContain("q=-status:404");
    await page.context().close();
  });
});

describe("overview", () => {
  test("figures, charts and lists lead to their calls", async () => {
    const page = await open(browser, "/overview");
    const list = page.getByRole("region", { name: "Status codes" });
    await list.getByRole("link", { name: "502" }).waitFor();
    const calls = Number((await list.getByRole("row").filter({ hasText: "502" }).getByRole("cell").nth(1).innerText()).replaceAll(",", ""));
    await page.getByRole("application", { name: /^Latency over time: p50 up to/ }).waitFor();
    await page.getByRole("region", { name: "Latency over time" }).getByRole("button", { name: "Show as table" }).click();
    await page.getByRole("region", { name: "Latency over time as a table" }).getByRole("columnheader", { name: "p99" }).waitFor();
    await list.getByRole("link", { name: "502" }).click();
    await page.waitForURL(/\/traffic\?q=status:502/);
    await expectTotal(page, (count) => count === calls, `the ${calls} that the overview counted`);
    await page.context().close();
  });

  test("the query and the range of the link hold for all of it", async () => {
    const page = await open(browser, "/overview?q=method:POST&from=now-1h");
    await page.getByRole("button", { name: "method = POST", exact: true }).waitFor();
    await eventually(async () => expect(await page.getByRole("region", { name: "Status codes" }).getByRole("row").count()).toBe(2));
    await page.getByRole("button", { name: "Remove method = POST" }).click();
    await eventually(async () => expect(await page.getByRole("region", { name: "Status codes" }).getByRole("row").count()).toBeGreaterThan(3));
    await page.goto(`${WEIR}/overview?from=2001-01-01&to=2001-01-02`);
    await page.getByText("No calls in this time").waitFor();
    await page.getByRole("link", { name: "Look at all time" }).click();
    await page.waitForURL(/from=all/);
    await page.getByRole("link", { name: "/my-api/search" }).first().waitFor();
    await page.context().close();
  });
});

describe("live", () => {
  test("new calls come in, wait while paused, and all appear afterwards", async () => {
    const page = await traffic();
    await page.keyboard.press("l");
    await page.getByText("Live", { exact: true }).nth(1).waitFor();
    const first = () => page.locator('[role=row][aria-rowindex="2"]').innerText();
    const before = await first();
    await send(proxy, 3);
    await eventually(async () => expect(await first()).not.toBe(before));
    await page.keyboard.press("Space");
    await page.getByText("Paused", { exact: true }).waitFor();
    const held = await first();
    await send(proxy, 12);
    await page.getByTestId("live-new").waitFor();
    expect(await first()).toBe(held);
    await eventually(async () => expect(Number(/\d+/.exec(await page.getByTestId("live-new").innerText())![0])).toBeGreaterThanOrEqual(12));
    await page.getByTestId("live-new").click();
    await eventually(async () => expect(await first()).not.toBe(held));
    await page.context().close();
  });
});

test("when weir cannot be reached the page says so, keeps what it has, and comes back by itself", async () => {
  const page = await traffic();
  await page.context().setOffline(true);
  await page.getByText("weir does not answer.").first().waitFor({ timeout: 25_000 });
  expect(await rows(page).count()).toBeGreaterThan(0);
  await page.context().setOffline(false);
  await eventually(async () => expect(await page.getByText("weir does not answer.").count()).toBe(0), 25_000);
  await page.context().close();
});

describe("by keyboard alone", () => {
  test("through the list, into a call and back, filter, select, pages", async () => {
    const page = await traffic();
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    const focused = () => page.evaluate(() => document.activeElement?.closest("[role=row]")?.getAttribute("aria-rowindex"));
    await eventually(async () => expect(await focused()).toBe("4"));
    await page.keyboard.press("Enter");
    await page.getByRole("complementary", { name: "One call" }).waitFor();
    await page.keyboard.press("k");
    await page.keyboard.press("Escape");
    await eventually(async () => expect(await page.getByRole("complementary", { name: "One call" }).count()).toBe(0));
    await eventually(async () => expect(await focused()).toBe("3"));
    await page.keyboard.press("x");
    await page.getByText("1 selected").waitFor();
    await page.keyboard.press("Escape");
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("f");
    await eventually(async () => expect(new URL(page.url()).searchParams.get("q")).toMatch(/^method:/));
    await page.keyboard.press("Control+z");
    await eventually(async () => expect(new URL(page.url()).searchParams.get("q")).toBeNull());
    await page.keyboard.press("/");
    await eventually(async () => expect(await query(page).evaluate((element) => element === document.activeElement)).toBe(true));
    await page.keyboard.press("Escape");
    await page.keyboard.press("Escape");
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keys" }).waitFor();
    await page.keyboard.press("Escape");
    await page.keyboard.press("Control+k");
    await page.getByRole("combobox", { name: "Search or jump to" }).fill("health");
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/health/);
    await page.getByRole("heading", { name: "Health", level: 1 }).waitFor();
    await page.keyboard.press("g");
    await page.keyboard.press("t");
    await page.waitForURL(/\/traffic/);
    await page.context().close();
  });

  test("the range can be typed", async () => {
    const page = await traffic();
    await page.keyboard.press("t");
    await page.getByLabel("Any range").fill("90m");
    await page.keyboard.press("Enter");
    await page.waitForURL(/from=now-90m/);
    await page.getByRole("button", { name: /Last 90 minutes/ }).waitFor();
    await page.keyboard.press("-");
    await page.waitForURL(/from=now-180m/);
    await page.context().close();
  });
});

gatewayTests(() => browser, () => api.address);
peopleTests(() => browser);
viewTests(() => browser);

describe("for everybody", () => {
  const PAGES: [string, string, (page: Page) => Promise<unknown>][] = [
    ["traffic", "/traffic", (page) => rows(page).first().waitFor()],
    ["call", "/traffic?q=status:502", async (page) => { await cell(page, 1, "status").click(); await page.getByRole("tree").first().waitFor(); }],
    ["no-match", "/traffic?q=path:/nowhere+status:599", (page) => page.getByText("No call matches").waitFor()],
    ["mistake", "/traffic?q=latency:>fast", (page) => page.getByRole("alert").first().waitFor()],
    ["chart", "/traffic?tab=chart&by=status", (page) => page.getByRole("application", { name: /^Latency over time: / }).waitFor()],
    ["top", "/traffic?tab=top", (page) => page.getByRole("table", { name: "Top endpoint" }).getByRole("button").first().waitFor()],
    ["users", "/users", (page) => page.getByRole("link", { name: "u-bare" }).waitFor()],
    ["user", "/users/u-ada", (page) => page.getByRole("region", { name: "Properties" }).waitFor()],
    ["overview", "/overview", (page) => page.getByRole("region", { name: "Services" }).getByRole("link").first().waitFor()],
    ["health", "/health", (page) => page.getByText("adds up").first().waitFor()],
    ["gateway", "/gateway/services", (page) => page.getByRole("table").waitFor()],
    ["service", "/gateway/services/orders", (page) => page.getByText("as saved").waitFor()],
    ["plugins", "/gateway/plugins", (page) => page.getByRole("table").waitFor()],
    ["plugin", "/gateway/plugins/new?plugin=galileo", async (page) => { await page.locator("fieldset summary").click(); await page.getByRole("button", { name: "Make this plugin" }).click(); await page.getByRole("alert").waitFor(); }],
    ["picker", "/gateway/plugins/new", (page) => page.getByRole("link", { name: /^key-auth/ }).waitFor()],
    ["upstreams", "/gateway/upstreams", (page) => page.getByText("No upstreams yet").waitFor()],
    ["connect", "/connect", (page) => page.getByText("calls are here already").waitFor()],
  ];
  for (const theme of ["light", "dark"] as const) {
    test.each(PAGES)(`no serious finding on %s, ${theme}`, async (name, path, ready) => {
      for (const width of [1440, 390]) {
        const page = await open(browser, path, { theme, width, height: width === 390 ? 844 : 900 });
        await ready(page);
        await page.waitForTimeout(300);
        expect(await findings(page)).toEqual([]);
        await shot(page, `${name}-${theme}-${width}`);
        await page.context().close();
      }
    });
  }
});

test("nothing went wrong on the way: no other host asked, no error on any page", () => {
  expect(complaints).toEqual([]);
});
