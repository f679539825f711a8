/**
 * Ranges of time as people write them, and instants as people read them.
 *
 * A range is kept as two expressions (`now-6h`, `now-1d/d`, `2026-11-03T14:00:00.000Z`), so that a link that says
 * «the last six hours» still says so tomorrow.
 */

export type Zone = "local" | "UTC";
export type TimeRange = { from: string; to: string };

/** What is looked at when a link names no range. */
export const DEFAULT_RANGE: TimeRange = { from: "now-24h", to: "now" };
/** Everything that is kept. */
export const ALL_TIME: TimeRange = { from: "all", to: "now" };

export const PRESETS: { label: string; range: TimeRange; key: string }[] = [
  { label: "Last 15 minutes", range: { from: "now-15m", to: "now" }, key: "15m" },
  { label: "Last hour", range: { from: "now-1h", to: "now" }, key: "1h" },
  { label: "Last 6 hours", range: { from: "now-6h", to: "now" }, key: "6h" },
  { label: "Last 24 hours", range: { from: "now-24h", to: "now" }, key: "24h" },
  { label: "Last 7 days", range: { from: "now-7d", to: "now" }, key: "7d" },
  { label: "Last 30 days", range: { from: "now-30d", to: "now" }, key: "30d" },
  { label: "Today", range: { from: "now/d", to: "now" }, key: "today" },
  { label: "Yesterday", range: { from: "now-1d/d", to: "now/d" }, key: "yesterday" },
  { label: "All time", range: ALL_TIME, key: "all" },
];

const UNIT_MS: Record<string, number> = { s: 1e3, m: 6e4, h: 36e5, d: 864e5, w: 6048e5 };
const UNIT_NAME: Record<string, string> = { s: "second", m: "minute", h: "hour", d: "day", w: "week" };
const RELATIVE = /^now(?:([+-])(\d+)([smhdw]))?(?:\/([smhdw]))?$/;
const SPAN = /^(?:last\s+)?(\d+)\s*(s|sec|seconds?|m|min|minutes?|h|hours?|d|days?|w|weeks?)$/;

/** The instant rounded down to a unit in the zone; weeks begin on Monday. */
function floor(instant: number, unit: string, zone: Zone): number {
  if (unit === "s" || unit === "m") return Math.floor(instant / UNIT_MS[unit]!) * UNIT_MS[unit]!;
  const date = new Date(instant);
  if (zone === "UTC") {
    if (unit === "h") return date.setUTCMinutes(0, 0, 0);
    date.setUTCHours(0, 0, 0, 0);
    return unit === "w" ? date.setUTCDate(date.getUTCDate() - ((date.getUTCDay() + 6) % 7)) : date.getTime();
  }
  if (unit === "h") return date.setMinutes(0, 0, 0);
  date.setHours(0, 0, 0, 0);
  return unit === "w" ? date.setDate(date.getDate() - ((date.getDay() + 6) % 7)) : date.getTime();
}

/** Days and weeks follow the calendar of the zone, so that «one day ago» survives a change of clocks. */
function move(instant: number, amount: number, unit: string, zone: Zone): number {
  if (zone === "UTC" || (unit !== "d" && unit !== "w")) return instant + amount * UNIT_MS[unit]!;
  const date = new Date(instant);
  return date.setDate(date.getDate() + amount * (unit === "w" ? 7 : 1));
}

/** Milliseconds since the epoch of an expression; `null` when it is none. */
export function resolve(expression: string, now: number, zone: Zone): number | null {
  const relative = RELATIVE.exec(expression);
  if (relative) {
    const [, sign, amount, unit, round] = relative;
    const moved = unit ? move(now, Number(amount) * (sign === "-" ? -1 : 1), unit, zone) : now;
    return round ? floor(moved, round, zone) : moved;
  }
  if (/^\d{11,}$/.test(expression)) return Number(expression);
  return readInstant(expression, zone);
}

/** `2026-11-03`, `2026-11-03 14:00[:05[.123]]`, with `T`, with `Z` or an offset. Without an offset it is of the zone. */
function readInstant(text: string, zone: Zone): number | null {
  const match = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?\s*(Z|[+-]\d\d:?\d\d)?$/i.exec(text.trim());
  if (!match) return null;
  const [, year, month, day, hour = "0", minute = "0", second = "0", fraction = "", offset] = match;
  const parts = [Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second)] as const;
  if (parts[1] > 11 || parts[2] < 1 || parts[2] > 31 || parts[3] > 24 || parts[4] > 59 || parts[5] > 60) return null;
  const millis = Number(fraction.padEnd(3, "0").slice(0, 3));
  if (offset) {
    const [sign, hours, minutes] = /^z$/i.test(offset) ? [1, 0, 0] : [offset[0] === "-" ? -1 : 1, +offset.slice(1, 3), +offset.slice(-2)];
    return Date.UTC(...parts, millis) - sign * (hours * 60 + minutes) * 6e4;
  }
  return zone === "UTC" ? Date.UTC(...parts, millis) : new Date(...parts, millis).getTime();
}

const iso = (instant: number) => new Date(instant).toISOString();

/** A range from what a person typed: `90m`, `last 3 days`, `yesterday`, `now-6h to now-1h`, `2026-11-03 14:00 to 15:00`. */
export function readRange(text: string, now: number, zone: Zone): TimeRange | null {
  const typed = text.trim().replace(/\s+/g, " ");
  const lower = typed.toLowerCase();
  const preset = PRESETS.find((one) => one.label.toLowerCase() === lower || one.key === lower);
  if (preset) return preset.range;
  if (lower === "all" || lower === "everything") return ALL_TIME;
  if (lower === "this week") return { from: "now/w", to: "now" };
  if (lower === "last week") return { from: "now-1w/w", to: "now/w" };
  const span = SPAN.exec(lower);
  if (span) return { from: `now-${span[1]}${span[2]![0]}`, to: "now" };
  const [first = "", second] = typed.split(/ (?:to|until|–|—|-) | ?(?:–|—|\.\.) ?/i);
  const from = first.trim();
  if (second === undefined) return readSingle(from, now, zone);
  return readPair(from, second.trim(), now, zone);
}

function readSingle(from: string, now: number, zone: Zone): TimeRange | null {
  if (RELATIVE.test(from)) return { from, to: "now" };
  const start = resolve(from, now, zone);
  if (start === null) return null;
  // A bare date means that day.
  if (/^\d{4}-\d\d-\d\d$/.test(from)) return { from: iso(start), to: iso(move(start, 1, "d", zone)) };
  return { from: iso(start), to: "now" };
}

function readPair(from: string, to: string, now: number, zone: Zone): TimeRange | null {
  const start = resolve(from, now, zone);
  const clock = /^\d\d:\d\d(?::\d\d)?$/.test(to);
  const end = resolve(clock ? `${from.slice(0, 10)} ${to}` : to, now, zone);
  if (start === null || end === null || end <= start) return null;
  return { from: RELATIVE.test(from) ? from : iso(start), to: RELATIVE.test(to) ? to : iso(end) };
}

/** What the API is asked. Rounding to days is done here because only the page knows the reader's zone. */
export function forApi(range: TimeRange, now: number, zone: Zone): { from?: string; to?: string } {
  if (range.from === "all") return {};
  const one = (expression: string) => {
    if (RELATIVE.test(expression) && !expression.includes("/")) return expression;
    const instant = resolve(expression, now, zone);
    return instant === null ? expression : iso(instant);
  };
  return { from: one(range.from), to: one(range.to) };
}

/** Whether a range names instants that exist. */
export function isRange(range: TimeRange, now: number, zone: Zone): boolean {
  if (range.from === "all") return true;
  const from = resolve(range.from, now, zone);
  const to = resolve(range.to, now, zone);
  return from !== null && to !== null && from < to;
}

/** The same width, one step earlier (-1) or later (+1). */
export function shift(range: TimeRange, steps: number, now: number, zone: Zone): TimeRange {
  const from = resolve(range.from, now, zone);
  const to = resolve(range.to, now, zone);
  if (from === null || to === null) return range;
  const width = to - from;
  return { from: iso(from + steps * width), to: iso(to + steps * width) };
}

/** Twice as wide. What ends now keeps ending now. */
export function zoomOut(range: TimeRange, now: number, zone: Zone): TimeRange {
  const simple = /^now-(\d+)([smhdw])$/.exec(range.from);
  if (simple && range.to === "now") return { from: `now-${Number(simple[1]) * 2}${simple[2]}`, to: "now" };
  const from = resolve(range.from, now, zone);
  const to = resolve(range.to, now, zone);
  if (from === null || to === null) return range;
  const half = (to - from) / 2;
  return { from: iso(from - half), to: range.to === "now" ? "now" : iso(to + half) };
}

export const absolute = (from: number, to: number): TimeRange => ({ from: iso(from), to: iso(to) });

/** The range in words. */
export function describeRange(range: TimeRange, now: number, zone: Zone): string {
  const preset = PRESETS.find((one) => one.range.from === range.from && one.range.to === range.to);
  if (preset) return preset.label;
  const simple = /^now-(\d+)([smhdw])$/.exec(range.from);
  if (simple && range.to === "now") {
    const amount = Number(simple[1]);
    return `Last ${amount} ${UNIT_NAME[simple[2]!]}${amount === 1 ? "" : "s"}`;
  }
  const from = resolve(range.from, now, zone);
  const to = resolve(range.to, now, zone);
  if (from === null || to === null) return `${range.from} to ${range.to}`;
  const end = range.to === "now" ? "now" : "";
  const start = `${formatDay(from, zone, now)} ${formatClock(from, zone)}`;
  if (end) return `${start} – now`;
  const sameDay = formatDay(from, zone, now) === formatDay(to, zone, now);
  return `${start} – ${sameDay ? "" : `${formatDay(to, zone, now)} `}${formatClock(to, zone)}`;
}

type Parts = { year: number; month: number; day: number; hour: number; minute: number; second: number; milli: number };

function parts(instant: number, zone: Zone): Parts {
  const date = new Date(instant);
  if (zone === "UTC") {
    return {
      year: date.getUTCFullYear(), month: date.getUTCMonth(), day: date.getUTCDate(), hour: date.getUTCHours(),
      minute: date.getUTCMinutes(), second: date.getUTCSeconds(), milli: date.getUTCMilliseconds(),
    };
  }
  return {
    year: date.getFullYear(), month: date.getMonth(), day: date.getDate(), hour: date.getHours(),
    minute: date.getMinutes(), second: date.getSeconds(), milli: date.getMilliseconds(),
  };
}

const two = (value: number) => String(value).padStart(2, "0");
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** `14:00`, with seconds when there are some. */
function formatClock(instant: number, zone: Zone): string {
  const { hour, minute, second } = parts(instant, zone);
  return `${two(hour)}:${two(minute)}${second ? `:${two(second)}` : ""}`;
}

/** `3 Nov`, with the year when it is not this one. */
export function formatDay(instant: number, zone: Zone, now: number): string {
  const { year, month, day } = parts(instant, zone);
  return `${day} ${MONTHS[month]}${year === parts(now, zone).year ? "" : ` ${year}`}`;
}

/** `12:04:31.207`; on another day than `now` with the day before it. */
export function formatInstant(instant: number, zone: Zone, now: number): string {
  const { hour, minute, second, milli } = parts(instant, zone);
  const clock = `${two(hour)}:${two(minute)}:${two(second)}.${String(milli).padStart(3, "0")}`;
  const day = formatDay(instant, zone, now);
  return day === formatDay(now, zone, now) ? clock : `${day} ${clock}`;
}

/** `2026-11-20 12:04:31.207 UTC` or with the offset of the reader's zone. */
export function formatFull(instant: number, zone: Zone): string {
  const { year, month, day, hour, minute, second, milli } = parts(instant, zone);
  const clock = `${two(hour)}:${two(minute)}:${two(second)}.${String(milli).padStart(3, "0")}`;
  return `${year}-${two(month + 1)}-${two(day)} ${clock} ${zoneLabel(zone, instant)}`;
}

/** `UTC` or `UTC+01:00`. */
export function zoneLabel(zone: Zone, instant: number): string {
  if (zone === "UTC") return "UTC";
  const minutes = -new Date(instant).getTimezoneOffset();
  if (minutes === 0) return "UTC";
  const size = Math.abs(minutes);
  return `UTC${minutes < 0 ? "−" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

/** `3 s ago`, `2 h ago`, `5 days ago`. */
export function formatAgo(instant: number, now: number): string {
  const seconds = Math.max(0, (now - instant) / 1000);
  if (seconds < 90) return `${Math.round(seconds)} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 129_600) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86_400)} days ago`;
}
