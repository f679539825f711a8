// @vitest-environment happy-dom
import { act } from "react";
import { expect, test } from "vitest";
import { stateOf } from "../../api/ledger";
import type { Ledger } from "../../api/types";
import { changeSettings } from "../../app/settings";
import { show } from "../../components/testing";
import { LedgerView } from "./HealthPage";

const ledger: Ledger = {
  as_of: new Date().toISOString(), balanced: true,
  sources: [{ name: "gateway", offered: 1204, accepted: 1200, dropped: { queue_full: 4 }, held: 0 }],
  targets: [{ name: "archive\u202e", kind: "http", offered: 1200, delivered: 1100, dropped: {}, held: 99, held_bytes: 250_000, lag_seconds: 14, retries: 3, last_error: { at: new Date().toISOString(), message: "<b>503</b>" }, last_delivery: null, next_attempt: null, removed: false }],
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

test("a target says what waits, for how long, and what went wrong when", async () => {
  const place = await show(<LedgerView ledger={ledger} stale={false} />);
  const card = place.querySelector("[id^=target-]")!;
  expect(card.textContent).toContain("queue99 calls, ≈ 250 KB");
  expect(card.textContent).toContain("behind14 s");
  expect(card.textContent).toContain("retries3");
  expect(card.textContent).toMatch(/<b>503<\/b> \d+ s ago/);
  expect(card.textContent).toContain("failing, 99 waiting");
});

test("an error is over when something was delivered after it", () => {
  const target = ledger.targets[0]!;
  const now = Date.parse("2026-11-21T12:00:10Z");
  const failed = { ...target, last_error: { at: "2026-11-21T12:00:00Z", message: "no" }, next_attempt: "2026-11-21T12:00:22Z" };
  expect(stateOf(failed, now)).toEqual({ level: "warn", sentence: "failing, 99 waiting, next try in 12 s" });
  expect(stateOf({ ...failed, held: 0, next_attempt: null }, now)).toEqual({ level: "warn", sentence: "the last delivery failed" });
  expect(stateOf({ ...failed, last_delivery: "2026-11-21T12:00:05Z" }, now).level).toBe("good");
  expect(stateOf({ ...target, last_error: null, lag_seconds: 61 }, now)).toEqual({ level: "warn", sentence: "99 waiting, 61 s behind" });
  expect(stateOf({ ...target, last_error: null, offered: 0, held: 0 }, now).level).toBe("idle");
});
