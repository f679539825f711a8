/** Figures as people read them: SI units, tabular, and the exact value kept for the title. */
import type { Total } from "../api/types";

const grouped = new Intl.NumberFormat("en-US");

/** `1,204`. */
export const formatCount = (value: number): string => grouped.format(value);

/** `1.2 M`: three digits at most, for labels without room. */
export function formatShort(value: number): string {
  for (const [size, unit] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e4, "k"]] as const) {
    if (Math.abs(value) >= size) return `${trim(value / (unit === "k" ? 1e3 : size))} ${unit}`;
  }
  return formatCount(value);
}

const trim = (value: number): string => (value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)).replace(/\.0+$/, "");

/** `1,204 calls`, `≈ 1,200,000 calls`. */
export function formatTotal(total: Total): string {
  const noun = total.value === 1 ? "call" : "calls";
  return total.relation === "eq" ? `${formatCount(total.value)} ${noun}` : `≈ ${formatCount(total.value)} ${noun}`;
}

/** `0.4 ms`, `88 ms`, `1.21 s`, `2 min 5 s`. */
export function formatDuration(milliseconds: number | null): string {
  if (milliseconds === null || Number.isNaN(milliseconds)) return "–";
  if (milliseconds < 0.001) return "0 ms";
  if (milliseconds < 0.9995) return `${Math.round(milliseconds * 1000)} µs`;
  if (milliseconds < 10) return `${milliseconds.toFixed(1).replace(/\.0$/, "")} ms`;
  if (milliseconds < 999.5) return `${milliseconds.toFixed(0)} ms`;
  if (milliseconds < 59_995) return `${(milliseconds / 1000).toFixed(milliseconds < 9_995 ? 2 : 1)} s`;
  const seconds = Math.round(milliseconds / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

/** `0 B`, `912 B`, `3.1 KB`, `12.5 MB`: units of 1,000. */
export function formatBytes(bytes: number | null): string {
  if (bytes === null) return "–";
  let value = bytes;
  for (const unit of ["B", "KB", "MB", "GB", "TB"]) {
    if (value < 999.5 || unit === "TB") return unit === "B" ? `${value} B` : `${value < 9.95 ? value.toFixed(1) : value.toFixed(0)} ${unit}`;
    value /= 1000;
  }
  return "–";
}

/** `12 %`, `0.3 %`. */
export function formatShare(share: number): string {
  const percent = share * 100;
  if (percent === 0) return "0 %";
  if (percent < 0.1) return "< 0.1 %";
  return `${percent < 9.95 ? percent.toFixed(1) : percent.toFixed(0)} %`;
}

/** A whole interval: `second`, `30 s`, `minute`, `6 h`. */
export function formatInterval(milliseconds: number): string {
  for (const [size, one, many] of [[864e5, "day", "days"], [36e5, "hour", "h"], [6e4, "minute", "min"], [1e3, "second", "s"]] as const) {
    if (milliseconds >= size && milliseconds % size === 0) return milliseconds === size ? one : `${milliseconds / size} ${many}`;
  }
  return formatDuration(milliseconds);
}
