import { expect, test } from "vitest";
import { ApiError } from "./client";
import { healthOf, newDrops } from "./ledger";
import type { Ledger } from "./types";

const ledger = (changes: Partial<Ledger> = {}): Ledger => ({
  as_of: "2026-11-20T12:00:00Z", balanced: true,
  sources: [{ name: "gateway", offered: 10, accepted: 8, dropped: { queue_full: 2 }, held: 0 }],
  targets: [{ name: "store", kind: "store", offered: 8, delivered: 8, dropped: {}, held: 0, held_bytes: 0, lag_seconds: 0, retries: 0, last_error: null, last_delivery: null, next_attempt: null, removed: false }],
  journal: { bytes: 0, max_bytes: 1, oldest: null }, store: { exchanges: 8, bytes: 1, uncommitted: 0, oldest: null, newest: null }, ...changes,
});

test("amber until somebody has seen the loss, and again when there is more", () => {
  expect(healthOf(ledger(), null, {}).level).toBe("warn");
  expect(healthOf(ledger(), null, { "source gateway: queue_full": 2 }).level).toBe("good");
  expect(newDrops(ledger(), { "source gateway: queue_full": 1 })).toMatchObject([{ line: "source gateway", count: 1 }]);
  // A count that fell belongs to a weir set up anew.
  expect(newDrops(ledger(), { "source gateway: queue_full": 9 })).toMatchObject([{ count: 2 }]);
});

test("red when the sums do not hold, grey when nobody answers", () => {
  expect(healthOf(ledger({ balanced: false }), null, {}).level).toBe("bad");
  expect(healthOf(undefined, new ApiError(0, { type: "", title: "", status: 0, detail: "" }, null), {}).level).toBe("unknown");
});

test("a target that is behind is told", () => {
  const late = ledger({ sources: [] });
  late.targets[0]!.held = 5;
  late.targets[0]!.lag_seconds = 90;
  expect(healthOf(late, null, {})).toEqual({ level: "warn", sentence: "store is 90 s behind" });
});
