/** Users and companies: described by a reporting library, found in the page, with their calls. */
import type { Browser } from "playwright-core";
import { beforeAll, describe, expect, test } from "vitest";
import { eventually, expectTotal, open, WEIR } from "./support";

const report = async (path: string, body: object): Promise<void> => {
  const answer = await fetch(`${WEIR}/v1${path}`, { method: "POST", headers: { "content-type": "application/json", "x-moesif-application-id": "app-1" }, body: JSON.stringify(body) });
  expect(answer.status, `${path}: ${await answer.text()}`).toBe(201);
};

const event = (user: string, path: string, status = 200) => ({
  request: { time: new Date().toISOString(), uri: `https://api.acme.example${path}`, verb: "GET", headers: {} },
  response: { time: new Date().toISOString(), status, headers: {} },
  user_id: user, company_id: "acme-7",
});

export function peopleTests(browser: () => Browser): void {
  describe("users and companies", () => {
    beforeAll(async () => {
      await report("/users", { user_id: "u-ada", company_id: "acme-7", metadata: { first_name: "Ada", last_name: "L\u202e", email: "ada@acme.example", plan: { tier: "gold" } } });
      await report("/companies", { company_id: "acme-7", company_domain: "acme.example", metadata: { name: "Acme Ltd" } });
      for (const status of [200, 200, 503]) await report("/events", event("u-ada", "/things", status));
      await report("/events", event("u-bare", "/things"));
      await eventually(async () => {
        const answer = (await (await fetch(`${WEIR}/api/v1/exchanges?q=company:acme-7&limit=1`)).json()) as { total: { value: number } };
        expect(answer.total.value).toBe(4);
      });
    });

    test("a user is found by any property, with its figures; its page has what was said, and its calls", async () => {
      const page = await open(browser(), "/users");
      await page.getByRole("row").filter({ hasText: "ada@acme.example" }).waitFor();
      await page.getByRole("link", { name: "u-bare" }).waitFor();
      await page.keyboard.press("/");
      await page.keyboard.type("GOLD");
      await eventually(async () => expect(await page.getByRole("row").count()).toBe(2));
      const row = page.getByRole("row").filter({ hasText: "ada@acme.example" });
      await eventually(async () => expect(await row.innerText()).toMatch(/\b3\b[\s\S]*33 %/));
      expect(page.url()).toContain("find=GOLD");
      await row.getByRole("link", { name: /^Ada/ }).click();
      await page.getByRole("heading", { level: 1, name: /^Ada LRLO/ }).waitFor();
      await page.getByRole("region", { name: "Properties" }).getByText("gold").waitFor();
      expect(await page.getByRole("region", { name: "Calls", exact: true }).getByRole("row").count()).toBe(4);
      await page.getByRole("region", { name: "Calls", exact: true }).getByRole("link", { name: "In Traffic" }).click();
      await page.waitForURL(/\/traffic\?q=user:u-ada/);
      await expectTotal(page, (count) => count === 3, "the user's calls");
      await page.goBack();
      await page.getByRole("link", { name: "acme-7" }).first().click();
      await page.getByRole("heading", { level: 1, name: "Acme Ltd" }).waitFor();
      await page.getByRole("table", { name: "Users of this company" }).getByRole("link", { name: /^Ada/ }).waitFor();
      await page.context().close();
    });

    test("one that only the traffic names has a page too", async () => {
      const page = await open(browser(), "/users/u-bare");
      await page.getByRole("region", { name: "Calls", exact: true }).getByRole("link", { name: "GET /things" }).waitFor();
      await page.context().close();
    });

    test("companies are listed beside users", async () => {
      const page = await open(browser(), "/users");
      await page.getByRole("link", { name: "Companies" }).click();
      await page.getByRole("link", { name: "Acme Ltd" }).waitFor();
      expect(await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Users" }).getAttribute("aria-current")).toBe("page");
      await page.context().close();
    });
  });
}
