/**
 * What a live view holds: the latest calls, those that wait while the reader looks, and how many were not drawn.
 * Memory is bounded whatever comes in.
 */
import type { ExchangeRow } from "../../api/types";

/** Rows kept. */
export const RING = 2000;
/** Rows drawn in a second at most. */
export const ROWS_PER_SECOND = 200;

export class LiveFeed {
  /** Latest first. */
  rows: ExchangeRow[] = [];
  /** Ids of the first calls after a connection was lost. */
  gaps = new Set<string>();
  private waiting: ExchangeRow[] = [];
  private ids = new Set<string>();
  private skipped = 0;
  private serverDropped = 0;
  private gapNext = false;

  constructor(seed: ExchangeRow[] = []) {
    this.rows = seed.slice(0, RING);
    for (const row of this.rows) this.ids.add(row.id);
  }

  get waitingCount(): number {
    return this.waiting.length;
  }

  /** Matching calls that were never shown, here or at the server. */
  get notDrawn(): number {
    return this.skipped + this.serverDropped;
  }

  push(row: ExchangeRow): void {
    if (this.ids.has(row.id)) return; // sent again after a reconnection
    this.ids.add(row.id);
    if (this.gapNext) {
      this.gaps.add(row.id);
      this.gapNext = false;
    }
    this.waiting.push(row);
    if (this.waiting.length > RING) this.forget(this.waiting.splice(0, this.waiting.length - RING), true);
  }

  /** The server's running count of what this reader was too slow for. */
  dropped(count: number): void {
    this.serverDropped = Math.max(this.serverDropped, count);
  }

  /** The connection was lost: calls may be missing before the next one. */
  lost(): void {
    if (this.rows.length + this.waiting.length > 0) this.gapNext = true;
  }

  /** Draws the latest of what waits, at most so many; the rest is counted. Whether anything changed. */
  draw(most: number): boolean {
    if (this.waiting.length === 0) return false;
    const taken = this.waiting.splice(0);
    if (taken.length > most) this.forget(taken.splice(0, taken.length - most), true);
    this.rows = [...taken.reverse(), ...this.rows];
    if (this.rows.length > RING) this.forget(this.rows.splice(RING), false);
    return true;
  }

  private forget(rows: ExchangeRow[], unseen: boolean): void {
    if (unseen) this.skipped += rows.length;
    for (const row of rows) {
      this.ids.delete(row.id);
      this.gaps.delete(row.id);
    }
  }
}
