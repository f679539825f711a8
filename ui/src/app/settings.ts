/** What a reader prefers on this machine: kept in local storage, not in links. */
import { useSyncExternalStore } from "react";
import type { Zone } from "../lib/time";

export type Theme = "system" | "light" | "dark";
export type Settings = {
  theme: Theme;
  zone: Zone;
  /** Whether single letters act as shortcuts. */
  letters: boolean;
  /** Queries run lately, latest first. */
  history: string[];
  /** Drops the reader has seen, by ledger line and reason. */
  seenDrops: Record<string, number>;
  /** Whether the field list is shown beside the calls. */
  sidebar: boolean;
};

const KEY = "weir.settings";
const DEFAULTS: Settings = { theme: "system", zone: "local", letters: true, history: [], seenDrops: {}, sidebar: true };

function load(): Settings {
  try {
    return { ...DEFAULTS, ...(JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<Settings>) };
  } catch {
    return DEFAULTS; // storage is forbidden or holds something else
  }
}

let current = load();
const listeners = new Set<() => void>();

export const getSettings = (): Settings => current;

export function changeSettings(changes: Partial<Settings>): void {
  current = { ...current, ...changes };
  try {
    localStorage.setItem(KEY, JSON.stringify(current));
  } catch {
    // Without storage the choice holds until the page is closed.
  }
  applyTheme();
  for (const listener of listeners) listener();
}

export function useSettings(): Settings {
  return useSyncExternalStore((listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, getSettings);
}

export function isDark(): boolean {
  return current.theme === "dark" || (current.theme === "system" && matchMedia("(prefers-color-scheme: dark)").matches);
}

export function applyTheme(): void {
  if (current.theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = current.theme;
}

export const toggleTheme = (): void => changeSettings({ theme: isDark() ? "light" : "dark" });

export function remember(query: string): void {
  const text = query.trim();
  if (text === "") return;
  changeSettings({ history: [text, ...current.history.filter((one) => one !== text)].slice(0, 30) });
}
