/** How strongly a country is coloured, and what the colours of the legend mean. */

export const LEVELS = 5;

/** Lower bounds of the levels, ascending. Counts differ by powers, so their steps are factors; shares and times have even steps from 0. */
export function boundsOf(values: number[], kind: "count" | "even"): number[] {
  const known = values.filter((value) => value > 0);
  if (known.length === 0) return [];
  const [least, most] = [Math.min(...known), Math.max(...known)];
  if (kind === "even") return Array.from({ length: LEVELS }, (_, at) => (most / LEVELS) * at);
  if (least === most) return [least];
  const steps = Array.from({ length: LEVELS }, (_, at) => least * (most / least) ** (at / LEVELS));
  // Bounds of counts are whole and round; few different counts need fewer levels.
  return [...new Set(steps.map((step, at) => (at === 0 ? least : Math.round(Number(step.toPrecision(2))))))];
}

/** The level of a value, from 1; 0 without one. The last bound has the strongest colour, however many there are. */
export function levelOf(value: number | null, bounds: number[]): number {
  if (value === null || bounds.length === 0 || value < bounds[0]!) return 0;
  const place = bounds.filter((bound) => bound <= value).length;
  return place + LEVELS - bounds.length;
}
