/** What Kong's schema endpoints say, read into what forms are drawn from. Anything that is not understood is edited as JSON. */
import type { Json } from "../../api/admin";

export type Field = {
  name: string;
  kind: Kind;
  required: boolean;
  /** Null when it has none. */
  preset: Json;
  /** Whether its value is not shown unless asked for. */
  secret: boolean;
  /** One line for people, with the unit. */
  about: string;
};

export type Kind =
  | { type: "text"; oneOf?: string[] }
  | { type: "number"; whole: boolean; min?: number; max?: number }
  | { type: "boolean" }
  | { type: "list"; of: Kind; set: boolean }
  | { type: "map"; of: Kind }
  | { type: "record"; fields: Field[] }
  | { type: "reference"; to: string; /** It must stay empty. */ never: boolean }
  | { type: "any" };

type Raw = { [name: string]: Json };

const isRecord = (value: Json | undefined): value is Raw => value !== null && typeof value === "object" && !Array.isArray(value);

/** The fields of a schema: `{"fields": [{"name": {"type": …}}, …]}`. */
export function readSchema(schema: Json): Field[] {
  return isRecord(schema) ? readFields(schema.fields) : [];
}

function readFields(list: Json | undefined): Field[] {
  if (!Array.isArray(list)) return [];
  return list.flatMap((item) => (isRecord(item) ? Object.entries(item) : [])).flatMap(([name, raw]): Field[] => {
    // What the gateway fills in by itself is not edited.
    if (!isRecord(raw) || raw.auto === true) return [];
    const about = typeof raw.description === "string" ? raw.description : "";
    return [{ name, kind: readKind(raw), required: raw.required === true, preset: raw.default ?? null, secret: raw.encrypted === true, about }];
  });
}

function readKind(raw: Raw): Kind {
  const inner = (value: Json | undefined): Kind => (isRecord(value) ? readKind(value) : { type: "any" });
  switch (raw.type) {
    case "string":
      return Array.isArray(raw.one_of) ? { type: "text", oneOf: raw.one_of.map(String) } : { type: "text" };
    case "number":
    case "integer":
      return { type: "number", whole: raw.type === "integer", ...bounds(raw.between) };
    case "boolean":
      return { type: "boolean" };
    case "array":
    case "set":
      return { type: "list", of: inner(raw.elements), set: raw.type === "set" };
    case "map":
      return { type: "map", of: inner(raw.values) };
    case "record":
      return { type: "record", fields: readFields(raw.fields) };
    case "foreign":
      return { type: "reference", to: String(raw.reference), never: raw.eq === null };
    default:
      return { type: "any" };
  }
}

/** Bounds that somebody chose; those of the type itself say nothing. */
function bounds(between: Json | undefined): { min?: number; max?: number } {
  if (!Array.isArray(between)) return {};
  const [min, max] = between;
  const chosen = (bound: Json | undefined) => typeof bound === "number" && Math.abs(bound) < 2 ** 53;
  return { ...(chosen(min) && { min: min as number }), ...(chosen(max) && { max: max as number }) };
}

/** What a field may hold, in words: `0 to 65535`. */
export function boundsText(kind: Kind): string {
  if (kind.type !== "number") return "";
  const { min, max } = kind;
  if (min !== undefined && max !== undefined && max < 2_000_000_000) return `${min} to ${max}`;
  return min !== undefined && min !== 0 ? `at least ${min}` : "";
}
