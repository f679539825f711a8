/** Where a line would not be seen: columns with a value and none beside them. */
export function lonely(values: (number | null)[]): number[] {
  const has = (at: number) => values[at] !== null && values[at] !== undefined;
  return values.flatMap((_, at) => (has(at) && !has(at - 1) && !has(at + 1) ? [at] : []));
}
