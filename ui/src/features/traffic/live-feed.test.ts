import { expect, test } from "vitest";
import type { ExchangeRow } from "../../api/types";
import { LiveFeed, RING } from "./live-feed";

const row = (id: number) => ({ id: String(id) }) as ExchangeRow;

test("the latest is first, and nothing is shown twice", () => {
  const feed = new LiveFeed([row(1)]);
  feed.push(row(2));
  feed.push(row(3));
  feed.push(row(1));
  expect(feed.draw(100)).toBe(true);
  expect(feed.rows.map((one) => one.id)).toEqual(["3", "2", "1"]);
  expect(feed.draw(100)).toBe(false);
});

test("what is too much to draw is counted, at the page and at the server", () => {
  const feed = new LiveFeed();
  for (let at = 0; at < 50; at += 1) feed.push(row(at));
  feed.draw(20);
  feed.dropped(7);
  feed.dropped(5); // a running count never falls
  expect(feed.rows).toHaveLength(20);
  expect(feed.rows[0]!.id).toBe("49");
  expect(feed.notDrawn).toBe(37);
});

test("memory stays flat while paused and while drawn", () => {
  const feed = new LiveFeed();
  for (let at = 0; at < 3 * RING; at += 1) feed.push(row(at));
  expect(feed.waitingCount).toBe(RING);
  feed.draw(RING);
  for (let at = 3 * RING; at < 5 * RING; at += 1) {
    feed.push(row(at));
    feed.draw(20);
  }
  expect(feed.rows).toHaveLength(RING);
  expect(feed.notDrawn).toBe(2 * RING);
  expect(new Set(feed.rows.map((one) => one.id)).size).toBe(RING);
});

test("a lost connection leaves a mark on the first call after it", () => {
  const feed = new LiveFeed([row(1)]);
  feed.lost();
  feed.push(row(2));
  feed.push(row(3));
  feed.draw(10);
  expect([...feed.gaps]).toEqual(["2"]);
});
