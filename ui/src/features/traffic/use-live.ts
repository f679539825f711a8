import { useEffect, useReducer, useRef, useState } from "react";
import { liveAddress } from "../../api/client";
import type { ExchangeRow } from "../../api/types";
import { LiveFeed, RING, ROWS_PER_SECOND } from "./live-feed";

/** Four times a second is as fast as people can follow, and cheap. */
const TICK_MS = 250;
export type LiveState = "connecting" | "open" | "reconnecting";

/** The stream of matching calls, drawn at a pace people can follow; waits while `paused`. */
export function useLive(q: string, enabled: boolean, paused: boolean, seed: ExchangeRow[] | undefined) {
  const feed = useRef<LiveFeed | null>(null);
  const [state, setState] = useState<LiveState>("connecting");
  const [, redraw] = useReducer((count: number) => count + 1, 0);
  const ready = enabled && seed !== undefined;
  const seedRef = useRef(seed);
  seedRef.current = seed;

  useEffect(() => {
    if (!ready) return void (feed.current = null);
    const live = new LiveFeed(seedRef.current);
    feed.current = live;
    setState("connecting");
    let source: EventSource;
    let retry = 0;
    let wait = 500;
    const connect = () => {
      source = new EventSource(liveAddress(q));
      source.onopen = () => {
        wait = 500;
        setState("open");
      };
      source.addEventListener("exchange", (event: MessageEvent<string>) => live.push(JSON.parse(event.data) as ExchangeRow));
      source.addEventListener("dropped", (event: MessageEvent<string>) => live.dropped((JSON.parse(event.data) as { dropped: number }).dropped));
      source.onerror = () => {
        live.lost();
        setState("reconnecting");
        // The browser tries again by itself unless the server refused.
        if (source.readyState !== EventSource.CLOSED) return;
        retry = window.setTimeout(connect, wait);
        wait = Math.min(wait * 2, 10_000);
      };
    };
    connect();
    redraw();
    return () => {
      clearTimeout(retry);
      source.close();
    };
  }, [q, ready]);

  const pausedBefore = useRef(paused);
  useEffect(() => {
    if (!ready) return;
    // What waited while paused is drawn at once.
    if (pausedBefore.current && !paused && feed.current?.draw(RING)) redraw();
    pausedBefore.current = paused;
    let known = -1;
    const timer = setInterval(() => {
      const live = feed.current;
      if (!live) return;
      const changed = paused ? live.waitingCount !== known : live.draw((ROWS_PER_SECOND * TICK_MS) / 1000);
      known = live.waitingCount;
      if (changed) redraw();
    }, paused ? 500 : TICK_MS);
    return () => clearInterval(timer);
  }, [paused, ready]);

  const live = feed.current;
  return { rows: live?.rows ?? [], gaps: live?.gaps, waiting: live?.waitingCount ?? 0, notDrawn: live?.notDrawn ?? 0, state };
}
