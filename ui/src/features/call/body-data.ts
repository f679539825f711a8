/** What a kept body is, and how it can be looked at. */
import type { Body } from "../../api/types";
import { formatBytes } from "../../lib/numbers";

/** What is fetched without being asked: large enough for nearly every API answer, small enough to never be felt. */
export const FIRST_PIECE = 512 * 1024;

export type BodyKind = "json" | "image" | "text" | "binary";

const mediaType = (body: Body) => (body.media_type ?? "").split(";")[0]!.trim().toLowerCase();

/** Raster images only: a drawing can hold scripts and links. */
export const isImage = (body: Body): boolean => /^image\/(png|jpeg|gif|webp|avif|bmp|x-icon|vnd\.microsoft\.icon)$/.test(mediaType(body));

/** The text of the bytes, or nothing when they are not UTF-8 (a character cut at the end is left out). */
export function textOf(bytes: Uint8Array, cut: boolean): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes, { stream: cut });
  } catch {
    return null;
  }
}

export function kindOf(body: Body, text: string | null): BodyKind {
  if (isImage(body)) return "image";
  if (text === null || /\u0000/.test(text.slice(0, 4096))) return "binary";
  const type = mediaType(body);
  const start = text.trimStart()[0] ?? "";
  if (/[/+]json$/.test(type) || ((start === "{" || start === "[") && !/html|xml|csv/.test(type))) return "json";
  return "text";
}

const REASONS: Record<string, string> = {
  off: "Bodies are not kept here: capture is off for this call.",
  budget: "Not kept: the memory set aside for bodies was used up at that moment. The call itself went through untouched.",
  stream: "Not kept: this was a stream without an end to wait for.",
  too_large: "Not kept: larger than the limit for bodies.",
  unmaskable: "Not kept: it could not be searched for secrets, so it was left out.",
  unknown: "Not known: the source of this call does not report bodies.",
};

/** The sentence in place of a body, or above one that is not whole; `null` when there is nothing to say. */
export function bodySentence(body: Body, side: "request" | "response"): { text: string; tone: "plain" | "warn" } | null {
  if (body.captured === "no") {
    if (body.size === 0) return { text: `The ${side} has no body.`, tone: "plain" };
    const size = body.size ? ` It had ${formatBytes(body.size)}.` : "";
    return { text: (REASONS[body.reason ?? "unknown"] ?? `Not kept: ${body.reason}.`) + size, tone: "warn" };
  }
  if (body.captured === "cut") {
    const why = body.reason === "stream" ? "A stream: what came first was kept" : "Cut at capture";
    const of = body.size && body.size > body.captured_size ? ` of ${formatBytes(body.size)}` : "";
    return { text: `${why}; ${formatBytes(body.captured_size)}${of} are here.`, tone: "warn" };
  }
  if (body.captured_size === 0) return { text: `The ${side} has no body.`, tone: "plain" };
  return null;
}

/** Lines of a text as rows of at most `width` characters: where each begins and ends, and the line it starts. */
export function wrapLines(text: string, width: number): { start: number; end: number; line: number }[] {
  const rows: { start: number; end: number; line: number }[] = [];
  let line = 1;
  for (let at = 0; at <= text.length; line += 1) {
    const found = text.indexOf("\n", at);
    const end = found < 0 ? text.length : found;
    let first = true;
    for (let start = at; first || start < end; start += width) {
      let stop = Math.min(end, start + width);
      // A pair of surrogates stays together.
      if (stop < end && /[\ud800-\udbff]/.test(text[stop - 1]!)) stop -= 1;
      rows.push({ start, end: stop, line: first ? line : 0 });
      start = stop - width;
      first = false;
      if (stop >= end) break;
    }
    if (found < 0) break;
    at = found + 1;
  }
  return rows;
}

/** Where words are in a text, without case. */
export function findAll(text: string, words: string, limit = 5000): number[] {
  const found: number[] = [];
  const wanted = words.toLowerCase();
  if (wanted === "") return found;
  const lower = text.toLowerCase();
  for (let at = lower.indexOf(wanted); at >= 0 && found.length < limit; at = lower.indexOf(wanted, at + wanted.length)) found.push(at);
  return found;
}

export type Parameter = { name: string; value: string };

/** The parameters of a query string, decoded; what cannot be decoded stays as sent. */
export function queryParameters(query: string): Parameter[] {
  const decode = (text: string) => {
    const spaced = text.replaceAll("+", " ");
    try {
      return decodeURIComponent(spaced);
    } catch {
      return spaced;
    }
  };
  return query.split("&").filter(Boolean).map((part) => {
    const at = part.indexOf("=");
    return at < 0 ? { name: decode(part), value: "" } : { name: decode(part.slice(0, at)), value: decode(part.slice(at + 1)) };
  });
}
