/** What a country is called; its code where nobody knows. */
const names = new Intl.DisplayNames(["en"], { type: "region", fallback: "code" });

export function countryName(code: string): string {
  try {
    return names.of(code.toUpperCase()) ?? code;
  } catch {
    return code; // no code at all: whoever reported it may have written anything
  }
}
