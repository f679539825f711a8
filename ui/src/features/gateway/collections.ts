/** What the gateway screen shows of each collection. Fields and their rules come from the gateway's schemas. */
import type { Entity, Json } from "../../api/admin";

export type Collection = {
  /** Its path in the Admin API. */
  path: string;
  /** Its name in schemas and references. */
  schema: string;
  title: string;
  one: string;
  /** One line for the empty list: what these are for. */
  about: string;
  /** Fields that come first in its form. */
  front: readonly string[];
  /** Fields of a new one that stand for others. */
  frontNew?: readonly string[];
  /** Collections whose members belong to one of these, by path. */
  children: readonly string[];
  /** Not in the list of collections: only reached through its parent. */
  inner?: boolean;
};

export const COLLECTIONS: readonly Collection[] = [
  { path: "services", schema: "services", title: "Services", one: "service", about: "A service is an API behind the gateway: where calls go.", front: ["name", "protocol", "host", "port", "path", "enabled"], frontNew: ["name", "url"], children: ["routes", "plugins"] },
  { path: "routes", schema: "routes", title: "Routes", one: "route", about: "A route says which calls go to a service: by path, host, method or header.", front: ["name", "service", "paths", "hosts", "methods", "strip_path"], children: ["plugins"] },
  { path: "consumers", schema: "consumers", title: "Consumers", one: "consumer", about: "A consumer is somebody who calls. Give consumers keys, and the key-auth plugin asks for them.", front: ["username", "custom_id"], children: ["key-auths", "plugins"] },
  { path: "plugins", schema: "plugins", title: "Plugins", one: "plugin", about: "A plugin does something with calls: asks for keys, reports them to another system. It runs for all calls, or for one service, route or consumer.", front: ["service", "route", "consumer", "enabled"], children: [] },
  { path: "upstreams", schema: "upstreams", title: "Upstreams", one: "upstream", about: "An upstream is a name whose calls are spread over several targets. Use the name as a service’s host.", front: ["name", "algorithm"], children: ["targets"] },
  { path: "key-auths", schema: "keyauth_credentials", title: "Keys", one: "key", about: "Without a key, this consumer is not known to the key-auth plugin.", front: ["key", "ttl", "consumer"], children: [], inner: true },
  { path: "targets", schema: "targets", title: "Targets", one: "target", about: "Without a target, calls to this upstream go nowhere.", front: ["target", "weight", "upstream"], children: [], inner: true },
];

export const collectionOf = (path: string): Collection | undefined => COLLECTIONS.find((one) => one.path === path);
export const bySchema = (schema: string): Collection | undefined => COLLECTIONS.find((one) => one.schema === schema);

export const text = (value: Json | undefined): string => (typeof value === "string" ? value : typeof value === "number" ? String(value) : "");
export const texts = (value: Json | undefined): string[] => (Array.isArray(value) ? value.map(text).filter(Boolean) : []);

/** The id that a reference holds. */
export function idOf(value: Json | undefined): string | null {
  return value !== null && typeof value === "object" && !Array.isArray(value) && typeof value.id === "string" ? value.id : null;
}

/** What people call it, by the entity's name in schemas. */
export function nameOf(schema: string, entity: Entity): string {
  const own = text(entity.name) || text(entity.username) || text(entity.custom_id) || text(entity.target);
  if (schema === "plugins") return text(entity.instance_name) ? `${text(entity.instance_name)} (${own})` : own;
  if (own) return own;
  if (schema === "services") return addressOf(entity);
  if (schema === "routes") return conditionsOf(entity)[0] ?? entity.id.slice(0, 8);
  return entity.id.slice(0, 8);
}

/** Where a service sends calls. */
export function addressOf(service: Entity): string {
  const { protocol, host, port, path } = service;
  const usual = (protocol === "http" && port === 80) || (protocol === "https" && port === 443);
  return `${text(protocol)}://${text(host)}${usual ? "" : `:${text(port)}`}${text(path)}`;
}

/** What a route asks of a call, in words that stand in requests. */
export function conditionsOf(route: Entity): string[] {
  const headers = route.headers !== null && typeof route.headers === "object" && !Array.isArray(route.headers) ? Object.entries(route.headers) : [];
  return [...texts(route.methods), ...texts(route.hosts), ...texts(route.paths), ...headers.map(([name, values]) => `${name}: ${texts(values).join(" or ")}`), ...texts(route.snis)];
}

/** The command that calls a route, when it can be told from its conditions. */
export function callOf(route: Entity, proxy: string): string | null {
  const path = texts(route.paths)[0];
  const host = texts(route.hosts)[0];
  if (path?.startsWith("~") || host?.includes("*") || texts(route.snis).length > 0) return null;
  if (path === undefined && host === undefined) return null;
  const quoted = (words: string) => (/^[\w./:-]+$/.test(words) ? words : `'${words.replaceAll("'", `'\\''`)}'`);
  const method = texts(route.methods)[0];
  return ["curl -i", method && method !== "GET" ? `-X ${quoted(method)}` : "", host ? `-H ${quoted(`Host: ${host}`)}` : "", quoted(`${proxy}${path ?? "/"}`)].filter(Boolean).join(" ");
}
