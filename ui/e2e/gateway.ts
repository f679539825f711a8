/** The gateway screen: from an empty gateway to calls that are delivered, without leaving the page. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually, findings, open, shell, shot, startWeir, WEIR, type Running } from "./support";

type Admin = { [field: string]: unknown };

const admin = async (path: string): Promise<Admin> => (await (await fetch(`${WEIR}/admin${path}`)).json()) as Admin;

/** A collector that says how many entries it got, or refuses while told so. */
async function startCollector(): Promise<{ port: number; server: Server; got(): number; refuse(refuse: boolean): void }> {
  let entries = 0;
  let refusing = true;
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      if (!refusing) entries += Buffer.concat(parts).toString().split("startedDateTime").length - 1;
      response.writeHead(refusing ? 503 : 200).end();
    });
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return { port: (server.address() as AddressInfo).port, server, got: () => entries, refuse: (refuse) => void (refusing = refuse) };
}

/** Where links in the page show an entity of this name. */
const row = (page: Page, name: string) => page.getByRole("row").filter({ has: page.getByRole("link", { name, exact: true }) });

export function gatewayTests(browser: () => Browser, upstream: () => string): void {
  let collector: Awaited<ReturnType<typeof startCollector>>;
  beforeAll(async () => {
    collector = await startCollector();
  });
  afterAll(() => collector?.server.close());

  describe("the gateway, set up in the page", () => {
    test("a service, a route and galileo, and what becomes of its calls on Health", async () => {
      const page = await open(browser(), "/gateway");
      await page.getByRole("heading", { name: "Services", level: 1 }).waitFor();
      await page.keyboard.press("n");
      await page.getByRole("heading", { name: "New service" }).waitFor();
      await page.getByLabel("name", { exact: true }).fill("orders");
      await page.keyboard.press("Control+Enter");
      // What is missing is said at its field, and the line above leads to it.
      await page.getByRole("alert").getByRole("button", { name: "url" }).click();
      const url = page.getByLabel("url", { exact: true });
      expect(await url.evaluate((element) => element === document.activeElement)).toBe(true);
      expect(await url.getAttribute("aria-invalid")).toBe("true");
      await page.keyboard.type(upstream());
      await page.keyboard.press("Control+Enter");
      await page.getByText("No route leads here yet").waitFor();

      await page.getByRole("link", { name: "Add a route" }).click();
      await page.getByRole("textbox", { name: "1 of 1" }).fill("orders");
      await page.getByRole("button", { name: "Make this route" }).click();
      await page.getByText("should start with: /").first().waitFor();
      await page.getByRole("textbox", { name: "1 of 1" }).fill("/orders");
      await page.getByRole("button", { name: "Make this route" }).click();
      const call = page.getByLabel("Call it", { exact: true }).locator("pre");
      await call.waitFor();

      await page.getByRole("link", { name: "Add a plugin" }).click();
      await page.getByRole("link", { name: /^galileo/ }).click();
      const token = page.getByLabel("service_token", { exact: true });
      await token.waitFor();
      expect(await token.getAttribute("type")).toBe("password");
      await token.fill("tok-1");
      await page.locator("fieldset summary").click();
      await page.getByRole("searchbox", { name: "Find a setting" }).fill("of the collector");
      await page.getByLabel("port", { exact: true }).fill("many");
      await page.getByLabel("host", { exact: true }).fill("127.0.0.1");
      await page.getByRole("searchbox", { name: "Find a setting" }).fill("");
      await page.getByLabel("https", { exact: true }).uncheck();
      await page.getByRole("button", { name: "Make this plugin" }).click();
      await page.getByText(/expected an integer/).first().waitFor();
      await page.getByLabel("port", { exact: true }).fill(String(collector.port));
      await page.getByRole("button", { name: "Make this plugin" }).click();
      await row(page, "galileo").getByText("no calls for it yet").waitFor();
      const plugins = (await admin("/services/orders/plugins")).data as { config: Admin }[];
      expect(plugins).toHaveLength(1);
      expect(plugins[0]!.config).toMatchObject({ service_token: "tok-1", host: "127.0.0.1", port: collector.port, https: false, retry_count: 10 });

      for (let at = 0; at < 3; at += 1) await shell(`${await call.innerText()} --silent --fail`);
      const state = row(page, "galileo").getByRole("link", { name: /failing/ });
      await state.waitFor();
      await state.click();
      await page.waitForURL(/\/health#target-galileo/);
      const card = page.locator("article", { has: page.getByRole("link", { name: "gateway plugin" }) });
      await card.getByText(/3 calls, ≈/).waitFor();
      await card.getByText(/answered 503|503/).first().waitFor();
      expect(await findings(page)).toEqual([]);
      await shot(page, "health-failing");
      collector.refuse(false);
      await card.getByText("3 delivered").first().waitFor({ timeout: 60_000 });
      await eventually(async () => expect(collector.got()).toBe(3));
      await card.getByText("over since").waitFor();
      await card.getByRole("link", { name: "gateway plugin" }).click();
      await page.getByRole("heading", { name: "galileo", level: 1 }).waitFor();
      await page.context().close();
    });

    test("settings are changed one by one, and only those; unsaved ones are not lost by accident", async () => {
      const page = await open(browser(), "/gateway/plugins");
      await row(page, "galileo").getByRole("link", { name: "galileo", exact: true }).click();
      await page.locator("fieldset summary").click();
      await page.getByLabel("environment", { exact: true }).fill("test\u202e");
      await page.getByLabel("queue_size", { exact: true }).fill("");
      await page.getByText("1 field changed").waitFor();
      await page.getByRole("link", { name: "Routes" }).click();
      await page.getByRole("dialog", { name: "Leave without saving?" }).getByRole("button", { name: "Stay" }).click();
      const sent = page.waitForRequest((request) => request.method() === "PATCH");
      await page.getByRole("button", { name: "Save" }).click();
      expect((await sent).postDataJSON()).toEqual({ config: { environment: "test\u202e", queue_size: null } });
      await page.getByText("as saved").waitFor();
      // An emptied setting is back at its default, and the form says so.
      expect(await page.getByLabel("queue_size", { exact: true }).inputValue()).toBe("1000");
      await page.getByRole("link", { name: "Routes" }).click();
      await page.getByRole("heading", { name: "Routes", level: 1 }).waitFor();
      await page.context().close();
    });

    test("a plugin of forty settings has the same form: lists grow by Enter, a choice is a choice", async () => {
      const page = await open(browser(), "/gateway/plugins/new");
      await page.getByRole("searchbox", { name: "Find a plugin" }).fill("moesif");
      await page.getByRole("link", { name: /^moesif/ }).click();
      await page.getByLabel("application_id", { exact: true }).fill("app-1");
      // Nothing of this is sent anywhere.
      await page.getByLabel("enabled", { exact: true }).uncheck();
      await page.locator("fieldset summary").click();
      await page.locator("fieldset").getByText("deprecated").first().waitFor();
      await page.getByRole("searchbox", { name: "Find a setting" }).fill("request_body_masks");
      const masks = page.getByRole("group", { name: "request_body_masks" });
      await masks.getByRole("button", { name: "Add" }).click();
      await page.keyboard.type("password");
      await page.keyboard.press("Enter");
      await page.keyboard.type("card.number");
      await page.keyboard.press("Enter");
      await page.getByRole("searchbox", { name: "Find a setting" }).fill("mask_unparsed");
      await page.getByLabel("mask_unparsed", { exact: true }).selectOption("drop");
      await page.getByRole("button", { name: "Make this plugin" }).click();
      await row(page, "moesif").waitFor();
      const made = ((await admin("/plugins")).data as { name: string; enabled: boolean; config: Admin }[]).find((plugin) => plugin.name === "moesif")!;
      expect(made.enabled).toBe(false);
      expect(made.config).toMatchObject({ application_id: "app-1", request_body_masks: ["password", "card.number"], mask_unparsed: "drop" });
      await page.context().close();
    });

    test("a consumer with a key passes key-auth; the key is hidden until asked for", async () => {
      const page = await open(browser(), "/gateway/consumers/new");
      await page.getByLabel("username", { exact: true }).fill("ann");
      await page.keyboard.press("Control+Enter");
      await page.getByRole("link", { name: "Add a key" }).click();
      await page.getByRole("button", { name: "Make this key" }).click();
      await page.getByRole("button", { name: "Copy the key" }).click();
      const key = await page.evaluate(() => navigator.clipboard.readText());
      expect(key).toMatch(/^\w{32}$/);
      expect(await page.locator("main").innerText()).not.toContain(key);
      await page.getByRole("table", { name: "Keys" }).getByRole("button", { name: "Show" }).click();
      await page.getByText(key).waitFor();

      await page.goto(`${WEIR}/gateway/plugins/new?plugin=key-auth`);
      await page.getByLabel("service", { exact: true }).selectOption({ label: "orders" });
      expect(await page.getByLabel("consumer", { exact: true }).count(), "it cannot belong to a consumer").toBe(0);
      await page.getByRole("button", { name: "Make this plugin" }).click();
      await row(page, "key-auth").waitFor();
      await page.goto(`${WEIR}/gateway/services`);
      await row(page, "orders").getByRole("link", { name: "orders" }).click();
      const address = /http:\S+/.exec(await page.getByLabel("Call it", { exact: true }).locator("pre").innerText())![0];
      await eventually(async () => expect((await fetch(address)).status).toBe(401));
      expect((await fetch(address, { headers: { apikey: key } })).status).toBe(200);
      await page.context().close();
    });

    test("a switch acts at once, and goes back when the gateway refuses", async () => {
      const page = await open(browser(), "/gateway/plugins");
      const control = page.getByRole("switch", { name: "key-auth is on" });
      await control.click();
      await eventually(async () => expect(((await admin("/plugins")).data as { name: string; enabled: boolean }[]).find((one) => one.name === "key-auth")?.enabled).toBe(false));
      await page.route("**/admin/plugins/*", (route) => (route.request().method() === "PATCH" ? route.fulfill({ status: 400, contentType: "application/json", body: "{\"message\":\"not now\",\"code\":2,\"name\":\"schema violation\",\"fields\":{}}" }) : route.continue()));
      await control.click();
      await page.getByText("Not changed: not now").waitFor();
      await eventually(async () => expect(await control.getAttribute("aria-checked")).toBe("false"));
      await page.context().close();
    });

    test("deleting asks first and says what goes with it; what is still needed is refused in words", async () => {
      const page = await open(browser(), "/gateway/services");
      await row(page, "orders").getByRole("button", { name: "Delete orders" }).click();
      const dialog = page.getByRole("dialog", { name: "Delete this service?" });
      await dialog.getByText("With it go 2 plugins.").waitFor();
      await dialog.getByText("1 route still leads to it").waitFor();
      await dialog.getByRole("button", { name: "Delete" }).click();
      await dialog.getByRole("alert").getByText(/references this 'services' entity/).waitFor();
      await page.keyboard.press("Escape");
      await row(page, "orders").waitFor();
      await page.getByRole("link", { name: "Consumers" }).click();
      await row(page, "ann").getByRole("button", { name: "Delete ann" }).click();
      await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
      await page.getByText("No consumers yet").waitFor();
      expect((await admin("/key-auths")).data).toEqual([]);
      await page.context().close();
    });

    test("a list is searched, and the search is in the link", async () => {
      const page = await open(browser(), "/gateway/services?find=orders");
      await row(page, "orders").waitFor();
      await page.keyboard.press("/");
      await page.keyboard.press("Control+a");
      await page.keyboard.type("nowhere");
      await page.getByText("No service has «nowhere» in it").waitFor();
      expect(page.url()).toContain("find=nowhere");
      await page.context().close();
    });
  });

  describe("a gateway that a file configures", () => {
    let running: Running;
    beforeAll(async () => {
      running = await startWeir("_format_version: \"3.0\"\nservices:\n- name: filed\n  url: http://127.0.0.1:9\n  routes:\n  - name: filed-r\n    paths: [/filed]\n  plugins:\n  - name: correlation-id\n");
    });
    afterAll(() => running?.stop());

    test("is shown and cannot be changed", async () => {
      const page = await open(browser(), `${running.address}/gateway`);
      await page.getByText("A file configures this gateway.").waitFor();
      await row(page, "filed").waitFor();
      expect(await page.getByRole("button", { name: /New|Delete/ }).count()).toBe(0);
      expect(await page.getByRole("switch").first().isDisabled()).toBe(true);
      await row(page, "filed").getByRole("link", { name: "filed", exact: true }).click();
      await page.getByLabel("host", { exact: true }).waitFor();
      expect(await page.getByLabel("host", { exact: true }).isDisabled()).toBe(true);
      expect(await page.getByRole("button", { name: "Save" }).count()).toBe(0);
      expect(await findings(page)).toEqual([]);
      await shot(page, "gateway-file");
      await page.context().close();
    });
  });
}
