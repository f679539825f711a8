/** Labels of a time axis. */
const two = (value: number) => String(value).padStart(2, "0");

/** Clock times, and the day where it changes. */
export function clockValues(splits: number[], step: number, toDate: (seconds: number) => Date): string[] {
  let before = "";
  return splits.map((seconds) => {
    const date = toDate(seconds);
    const day = `${date.getDate()} ${["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][date.getMonth()]}`;
    const clock = `${two(date.getHours())}:${two(date.getMinutes())}${step < 60 ? `:${two(date.getSeconds())}` : ""}`;
    const text = step >= 86_400 ? day : day !== before && before !== "" ? `${day} ${clock}` : clock;
    before = day;
    return text;
  });
}
