/**
 * What stands in a form, and how it becomes JSON. Numbers and JSON are text while they are typed; what cannot be read as
 * what its field wants is sent as it is, so that the gateway's words about it are shown, not ours.
 */
import type { Json, Mistakes } from "../../api/admin";
import type { Field, Kind } from "./schema";

export type Draft = string | boolean | null | Draft[] | Pair[] | { [name: string]: Draft };
/** An entry of a map. */
export type Pair = [name: string, value: Draft];
export type RecordDraft = { [name: string]: Draft };

export function toDraft(kind: Kind, value: Json | undefined): Draft {
  const given = value ?? null;
  switch (kind.type) {
    case "boolean":
      return typeof given === "boolean" ? given : null;
    case "list":
      return Array.isArray(given) ? given.map((item) => toDraft(kind.of, item)) : [];
    case "map":
      return isObject(given) ? Object.entries(given).map(([name, item]): Pair => [name, toDraft(kind.of, item)]) : [];
    case "record":
      return toRecord(kind.fields, isObject(given) ? given : {});
    case "reference":
      return isObject(given) && typeof given.id === "string" ? given.id : "";
    case "any":
      return given === null ? "" : JSON.stringify(given, null, 2);
    default:
      return given === null ? "" : typeof given === "string" ? given : JSON.stringify(given);
  }
}

/** A draft of an entity; what it does not have has its default. */
export function toRecord(fields: Field[], entity: { [name: string]: Json }): RecordDraft {
  return Object.fromEntries(fields.map((field) => [field.name, toDraft(field.kind, entity[field.name] ?? field.preset)]));
}

/** What a new item of a list or map begins with. */
export function blank(kind: Kind): Draft {
  return kind.type === "record" ? toRecord(kind.fields, {}) : toDraft(kind, null);
}

const isObject = (value: Json): value is { [name: string]: Json } => value !== null && typeof value === "object" && !Array.isArray(value);

export function toJson(kind: Kind, draft: Draft): Json {
  switch (kind.type) {
    case "boolean":
      return draft as boolean | null;
    case "list":
      return (draft as Draft[]).map((item) => toJson(kind.of, item));
    case "map":
      return Object.fromEntries((draft as Pair[]).map(([name, item]) => [name, toJson(kind.of, item)]));
    case "record":
      return Object.fromEntries(kind.fields.map((field) => [field.name, fieldJson(field, (draft as RecordDraft)[field.name] ?? null)]));
    case "reference":
      return draft === "" ? null : { id: draft as string };
    case "number": {
      const text = String(draft ?? "").trim();
      const number = Number(text);
      return text === "" ? null : Number.isFinite(number) ? number : text;
    }
    case "any":
      return String(draft ?? "").trim() === "" ? null : (JSON.parse(String(draft)) as Json);
    default:
      return draft === "" ? null : (draft as string);
  }
}

/** Nothing in a list that has no default means: not set. */
function fieldJson(field: Field, draft: Draft): Json {
  const value = toJson(field.kind, draft);
  const empty = (Array.isArray(value) && value.length === 0) || (field.kind.type === "map" && isObject(value) && Object.keys(value).length === 0);
  return empty && field.preset === null ? null : value;
}

/** Takes away items and entries that were added and left blank, so that the places in answers are those on the screen. */
export function tidy(fields: Field[], draft: RecordDraft): RecordDraft {
  return Object.fromEntries(fields.map((field) => [field.name, tidyValue(field.kind, draft[field.name] ?? null)]));
}

function tidyValue(kind: Kind, draft: Draft): Draft {
  switch (kind.type) {
    case "list":
      return (draft as Draft[]).filter((item) => !isBlank(item)).map((item) => tidyValue(kind.of, item));
    case "map":
      return (draft as Pair[]).filter(([name, item]) => name !== "" || !isBlank(item)).map(([name, item]): Pair => [name, tidyValue(kind.of, item)]);
    case "record":
      return tidy(kind.fields, draft as RecordDraft);
    default:
      return draft;
  }
}

const isBlank = (draft: Draft): boolean => draft === "" || (Array.isArray(draft) && draft.length === 0);

const same = (a: Draft | undefined, b: Draft | undefined): boolean => JSON.stringify(a) === JSON.stringify(b);

/** What has changed, as JSON: records by field, everything else whole. Null when nothing has. */
export function changes(fields: Field[], before: RecordDraft, after: RecordDraft): { [name: string]: Json } | null {
  const changed = fields.flatMap((field): [string, Json][] => {
    const [old, now] = [before[field.name], after[field.name] ?? null];
    if (same(old, now)) return [];
    if (field.kind.type === "record") {
      const inner = changes(field.kind.fields, old as RecordDraft, now as RecordDraft);
      return inner ? [[field.name, inner]] : [];
    }
    return [[field.name, fieldJson(field, now)]];
  });
  return changed.length === 0 ? null : Object.fromEntries(changed);
}

/** Whether a field has something else than its default. */
export function isSet(field: Field, draft: Draft | undefined): boolean {
  return !same(toDraft(field.kind, field.preset), draft);
}

/** What cannot even be sent: text that should be JSON and is not, a name given twice. */
export function unsendable(fields: Field[], draft: RecordDraft): Mistakes {
  const found = fields.flatMap((field): [string, Mistakes][] => {
    const mistake = unsendableValue(field.kind, draft[field.name] ?? null);
    return mistake === null ? [] : [[field.name, mistake]];
  });
  return found.length === 0 ? null : Object.fromEntries(found);
}

function unsendableValue(kind: Kind, draft: Draft): Mistakes {
  switch (kind.type) {
    case "any":
      try {
        if (String(draft ?? "").trim() !== "") JSON.parse(String(draft));
        return null;
      } catch {
        return "this is not JSON; text needs quotes";
      }
    case "list": {
      const found = (draft as Draft[]).map((item) => unsendableValue(kind.of, item));
      return found.some((one) => one !== null) ? found : null;
    }
    case "map": {
      const pairs = draft as Pair[];
      const found = pairs.flatMap(([name, item], index): [string, Mistakes][] => {
        if (name === "") return [[name, "give it a name"]];
        if (pairs.findIndex(([other]) => other === name) !== index) return [[name, "this name is given twice"]];
        const inner = unsendableValue(kind.of, item);
        return inner === null ? [] : [[name, inner]];
      });
      return found.length === 0 ? null : Object.fromEntries(found);
    }
    case "record":
      return unsendable(kind.fields, draft as RecordDraft);
    default:
      return null;
  }
}

/** Mistakes below one name or place. */
export function below(mistakes: Mistakes, step: string | number): Mistakes {
  if (mistakes === null || typeof mistakes !== "object") return null;
  const found = Array.isArray(mistakes) ? (typeof step === "number" ? mistakes[step] : undefined) : Object.hasOwn(mistakes, String(step)) ? mistakes[String(step)] : undefined;
  return found ?? null;
}

/** All mistakes as lines: where, and what. */
export function lines(mistakes: Mistakes, path: string[] = []): { path: string[]; message: string }[] {
  if (mistakes === null) return [];
  if (typeof mistakes === "string") return [{ path: path.filter((step) => step !== "@entity"), message: mistakes }];
  // Lines about a whole stand in a list of their own.
  if (path.at(-1) === "@entity" && Array.isArray(mistakes)) return mistakes.flatMap((one) => lines(one, path));
  const entries: [string, Mistakes][] = Array.isArray(mistakes) ? mistakes.map((one, index) => [String(index), one]) : Object.entries(mistakes);
  return entries.flatMap(([step, one]) => lines(one, [...path, step]));
}
