/** The gateway's Admin API, as Kong has it. Errors keep the mistakes of each field. */
import { ApiError, send } from "./client";

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/** Anything that can be configured. */
export type Entity = { id: string } & { [field: string]: Json };

/** Mistakes by field, nested as the fields are; items of lists stand in their places. */
export type Mistakes = null | string | Mistakes[] | { [name: string]: Mistakes };

type Refusal = { message?: string; code?: number; name?: string; fields?: Mistakes };

/** Kong's codes of refusals that are told differently. */
const FOREIGN_KEY = 4;
const UNIQUE = 5;

export class AdminError extends ApiError {
  constructor(
    status: number,
    readonly refusal: Refusal,
    requestId: string | null,
  ) {
    super(status, { type: "about:blank", title: titleOf(status, refusal), detail: refusal.message ?? "", status }, requestId);
    this.name = "AdminError";
  }

  /** What is wrong with each field. */
  get mistakes(): Mistakes {
    const { code, fields } = this.refusal;
    if (fields === null || typeof fields !== "object" || Array.isArray(fields)) return null;
    if ("@referenced_by" in fields) return null;
    // These two name the fields with their values, not with words.
    const words = code === UNIQUE ? "is taken already" : code === FOREIGN_KEY ? "does not exist" : null;
    return words === null ? fields : Object.fromEntries(Object.keys(fields).map((name) => [name, words]));
  }
}

function titleOf(status: number, refusal: Refusal): string {
  if (status === 0) return "weir does not answer";
  return refusal.name ?? (status === 404 ? "There is no such thing" : "The gateway refused");
}

async function ask(path: string, init: RequestInit = {}): Promise<Json> {
  let response: Response;
  try {
    response = await send(`/admin${path}`, init);
  } catch (error) {
    if (!(error instanceof ApiError) || error.status === 401) throw error;
    // The API's own guard answers problem details, the Admin API answers as Kong does.
    const raw = error.problem as unknown as Refusal & { title?: string; detail?: string };
    throw new AdminError(error.status, raw.message === undefined ? { name: raw.title, message: raw.detail } : raw, error.requestId);
  }
  if (response.status === 204) return null;
  if (!/json/.test(response.headers.get("content-type") ?? "")) throw new AdminError(404, { name: "No gateway runs here", message: "this weir was started without one" }, response.headers.get("x-request-id"));
  return (await response.json()) as Json;
}

const jsonBody = (method: string, body: Json): RequestInit => ({ method, headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
const at = (collection: string, id: string) => `/${collection}/${encodeURIComponent(id)}`;

/** A gateway with more than this is managed by scripts; the page says how much of it it shows. */
export const MOST_LISTED = 5_000;

export type Listed = { entities: Entity[]; /** Whether there are more than these. */ more: boolean };

/** All of a collection, page after page. */
export async function listEntities(collection: string, signal?: AbortSignal): Promise<Listed> {
  const entities: Entity[] = [];
  let offset = "";
  for (;;) {
    const page = (await ask(`/${collection}?size=1000${offset}`, { signal })) as { data?: Entity[]; offset?: string } | null;
    entities.push(...(page?.data ?? []));
    if (!page?.offset) return { entities, more: false };
    if (entities.length >= MOST_LISTED) return { entities, more: true };
    offset = `&offset=${encodeURIComponent(page.offset)}`;
  }
}

export const getEntity = async (collection: string, id: string, signal?: AbortSignal): Promise<Entity> => (await ask(at(collection, id), { signal })) as Entity;
export const createEntity = async (collection: string, body: Json): Promise<Entity> => (await ask(`/${collection}`, jsonBody("POST", body))) as Entity;
export const changeEntity = async (collection: string, id: string, changes: Json): Promise<Entity> => (await ask(at(collection, id), jsonBody("PATCH", changes))) as Entity;
export const deleteEntity = async (collection: string, id: string): Promise<void> => void (await ask(at(collection, id), { method: "DELETE" }));

/** The fields of an entity as Kong's schemas show them; `schema.ts` of the gateway page reads them. */
export const getEntitySchema = (entity: string, signal?: AbortSignal): Promise<Json> => ask(`/schemas/${entity}`, { signal });
export const getPluginSchema = (plugin: string, signal?: AbortSignal): Promise<Json> => ask(`/schemas/plugins/${encodeURIComponent(plugin)}`, { signal });

export type Gateway = {
  /** Whether a declarative file decides, so that nothing can be changed here. */
  readOnly: boolean;
  /** What can be added, sorted, with one line about each. */
  plugins: { name: string; about: string }[];
};

export async function getGateway(signal?: AbortSignal): Promise<Gateway> {
  const root = (await ask("/", { signal })) as { configuration?: { database?: string }; plugins?: { available_on_server?: Record<string, { description?: string } | boolean> } };
  const available = Object.entries(root.plugins?.available_on_server ?? {});
  const plugins = available.map(([name, about]) => ({ name, about: typeof about === "object" ? (about.description ?? "") : "" }));
  return { readOnly: root.configuration?.database === "off", plugins: plugins.sort((a, b) => (a.name < b.name ? -1 : 1)) };
}
