// @vitest-environment happy-dom
import { act } from "react";
import { expect, test } from "vitest";
import type { Ledger } from "../../api/types";
import { changeSettings } from "../../app/settings";
import { show } from "../../components/testing";
import { LedgerView } from "./HealthPage";

const ledger: Ledger = {
  as_of: new Date().toISOString(), balanced: true,
  sources: [{ name: "gateway", offered: 1204, accepted: 1200, dropped: { queue_full: 4 }, held: 0 }],
  targets: [{ name: "archive\u202e", kind: "http", offered: 1200, delivered: 1100, dropped: {}, held: 99, lag_seconds: 14, retries: 3, last_error: { at: new Date().toISOString(), message: "<b>503</b>" }, removed: false }],
  journal: { bytes: 900, max_bytes: 1000, oldest: null }, store: { exchanges: 1200, bytes: 120_000, uncommitted: 0, oldest: null, newest: null },
};

test("shows each account as a sum, and says when one does not add up", async () => {
  const place = await show(<LedgerView ledger={ledger} stale={false} />);
  const [source, target] = [...place.querySelectorAll("article")];
  expect(source!.textContent).toContain("1,204 offered=1,200 accepted+4 dropped+0 held");
  expect(source!.textContent).toContain("adds up");
  expect(source!.textContent).toContain("4 dropped: queue full");
  expect(target!.textContent).toContain("does not add up");
  expect(target!.textContent).toContain("archiveRLO");
  expect(target!.querySelector("b")).toBeNull();
});

test("a loss is amber until it is marked as seen", async () => {
  changeSettings({ seenDrops: {} });
  const place = await show(<LedgerView ledger={ledger} stale={false} />);
  expect(place.querySelector('[role="status"]')?.textContent).toContain("4 calls dropped");
  await act(async () => [...place.querySelectorAll("button")].find((button) => button.textContent === "Mark as seen")!.click());
  expect(place.querySelector('[role="status"]')?.textContent).toContain("Everything offered is accounted for");
});
