/** The loss ledger as the frame and the health page read it. */
import { useQuery } from "@tanstack/react-query";
import { changeSettings, useSettings } from "../app/settings";
import { formatCount } from "../lib/numbers";
import { ApiError, getLedger, getSetup } from "./client";
import type { Ledger, Side, TargetLedger } from "./types";

export type Level = "good" | "warn" | "bad" | "unknown";

export const sumOf = (counts: Record<string, number>): number => Object.values(counts).reduce((sum, count) => sum + count, 0);

/** One dropped count with its place, as it is remembered once seen. */
export type Drop = { key: string; line: string; reason: string; count: number };

export function dropsOf(ledger: Ledger): Drop[] {
  const lines: [string, Side][] = [
    ...ledger.sources.map((side): [string, Side] => [`source ${side.name}`, side]),
    ...ledger.targets.map((side): [string, Side] => [`target ${side.name}`, side]),
  ];
  return lines.flatMap(([line, side]) => Object.entries(side.dropped).map(([reason, count]) => ({ key: `${line}: ${reason}`, line: shortName(line), reason, count })));
}

/** The name of a target without the id of the gateway plugin that asked for it. */
export const shortName = (name: string): string => name.replace(/:[0-9a-f]{8}-[0-9a-f-]{27}$/, "");

/** Drops beyond what the reader has already seen. A count that fell back belongs to another weir: all of it is new. */
export function newDrops(ledger: Ledger, seen: Record<string, number>): Drop[] {
  return dropsOf(ledger)
    .map((drop) => ({ ...drop, count: drop.count >= (seen[drop.key] ?? 0) ? drop.count - (seen[drop.key] ?? 0) : drop.count }))
    .filter((drop) => drop.count > 0);
}

/** A minute behind is late enough to tell. */
const LATE_SECONDS = 60;

export type Health = { level: Level; sentence: string };

/** Red: the sums do not hold. Amber: something was lost that nobody has seen yet, or a target is behind. */
export function healthOf(ledger: Ledger | undefined, error: unknown, seen: Record<string, number>): Health {
  if (error) return { level: "unknown", sentence: error instanceof ApiError && error.offline ? "weir does not answer" : "the ledger cannot be read" };
  if (!ledger) return { level: "unknown", sentence: "reading the ledger" };
  if (!ledger.balanced) return { level: "bad", sentence: "the ledger does not balance" };
  const lost = newDrops(ledger, seen);
  const count = lost.reduce((sum, drop) => sum + drop.count, 0);
  if (count > 0) return { level: "warn", sentence: `${formatCount(count)} ${count === 1 ? "call" : "calls"} dropped` };
  const late = ledger.targets.find((target) => target.held > 0 && target.lag_seconds >= LATE_SECONDS);
  if (late) return { level: "warn", sentence: `${shortName(late.name)} is ${Math.round(late.lag_seconds)} s behind` };
  return { level: "good", sentence: "everything offered is accounted for" };
}

export type TargetStatus = { level: "good" | "warn" | "idle"; sentence: string };

/** How a target does: failing counts until something was delivered after the error. */
export function stateOf(target: TargetLedger, now: number): TargetStatus {
  const errorAt = target.last_error ? Date.parse(target.last_error.at) : null;
  const deliveredAt = target.last_delivery ? Date.parse(target.last_delivery) : null;
  const waiting = target.held > 0 ? `${formatCount(target.held)} waiting` : "";
  if (target.held > 0 && errorAt !== null && (deliveredAt === null || deliveredAt < errorAt)) {
    const next = target.next_attempt ? Math.max(0, Math.ceil((Date.parse(target.next_attempt) - now) / 1000)) : null;
    return { level: "warn", sentence: `failing, ${waiting}${next === null ? "" : next === 0 ? ", trying now" : `, next try in ${next} s`}` };
  }
  if (target.held > 0 && target.lag_seconds >= LATE_SECONDS) return { level: "warn", sentence: `${waiting}, ${Math.round(target.lag_seconds)} s behind` };
  if (errorAt !== null && (deliveredAt === null || deliveredAt < errorAt)) return { level: "warn", sentence: "the last delivery failed" };
  if (target.offered === 0) return { level: "idle", sentence: "no calls for it yet" };
  return { level: "good", sentence: `${formatCount(target.delivered)} delivered${waiting && `, ${waiting}`}` };
}

export function useLedger() {
  return useQuery({ queryKey: ["ledger"], queryFn: ({ signal }) => getLedger(signal), refetchInterval: 5000, staleTime: 2000 });
}

export function useHealth() {
  const { data, error } = useLedger();
  const { seenDrops } = useSettings();
  const locked = error instanceof ApiError && error.status === 401;
  const offline = error instanceof ApiError && error.offline;
  return { ...healthOf(data, error, seenDrops), locked, offline, ledger: data, lost: data ? newDrops(data, seenDrops) : [] };
}

export function markDropsSeen(ledger: Ledger): void {
  changeSettings({ seenDrops: Object.fromEntries(dropsOf(ledger).map((drop) => [drop.key, drop.count])) });
}

/** Addresses and the first call. Asked every second while nothing has come in yet. */
export function useSetup() {
  return useQuery({
    queryKey: ["setup"],
    queryFn: ({ signal }) => getSetup(signal),
    refetchInterval: (query) => (query.state.data?.exchanges === 0 ? 1000 : false),
    staleTime: 1000,
  });
}
