/** One function per operation of the API. Every call can be given up by its signal. */
import type {
  ExchangeDetail,
  ExchangeList,
  Explore,
  Fields,
  FieldValues,
  ImportReport,
  Ledger,
  Problem,
  Setup,
  Table,
} from "./types";

/** An answer that is not a success, or no answer at all (`status` 0). */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly problem: Problem,
    readonly requestId: string | null,
  ) {
    super(problem.detail || problem.title);
    this.name = "ApiError";
  }

  /** Whether weir could not be reached, as opposed to having refused. */
  get offline(): boolean {
    return this.status === 0;
  }

  /** The part about one parameter, such as the query text. */
  about(parameter: string) {
    return this.problem.errors?.find((error) => error.parameter === parameter || error.pointer === `/${parameter}`);
  }
}

export type Range = { from?: string; to?: string };

export function address(path: string, parameters: Record<string, string | number | boolean | undefined>): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== "") search.set(name, String(value));
  }
  const text = search.toString();
  return text ? `/api/v1${path}?${text}` : `/api/v1${path}`;
}

/** The answer when it is a success, an [`ApiError`] when not. */
export async function send(url: string, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, init);
  } catch (cause) {
    if (init.signal?.aborted) throw cause;
    throw new ApiError(0, { type: "about:blank", title: "weir does not answer", detail: "", status: 0 }, null);
  }
  if (response.ok) return response;
  const requestId = response.headers.get("x-request-id");
  const problem = await response
    .json()
    .then((value) => value as Problem)
    .catch((): Problem => ({ type: "about:blank", title: response.statusText || "error", detail: "", status: response.status }));
  // A proxy in front of a stopped weir answers so.
  const status = [502, 503, 504].includes(response.status) && requestId === null ? 0 : response.status;
  throw new ApiError(status, problem, requestId);
}

export async function json<T>(url: string, init: RequestInit = {}): Promise<T> {
  const response = await send(url, init);
  return (await response.json()) as T;
}

const exchange = (id: string) => `/exchanges/${encodeURIComponent(id)}`;

export function explore(ask: Range & { q: string; limit: number; buckets: number }, signal?: AbortSignal): Promise<Explore> {
  const body = JSON.stringify(ask);
  return json(address("/explore", {}), { method: "POST", headers: { "content-type": "application/json" }, body, signal });
}

/** A table of figures; `order_by` is one of the measures. */
export type AggregateAsk = Range & { q?: string; group_by?: string[]; filter?: Filter; interval?: string; measures: string[]; order_by?: string; limit?: number };

/** Calls whose field has one of these values, matches a pattern, or has a value at all; and what is made of such. */
export type Filter =
  | { field: string; op: "in"; values: (string | number | boolean)[] }
  | { field: string; op: "like"; value: string }
  | { field: string; op: "exists" }
  | { not: Filter }
  | { and: Filter[] }
  | { or: Filter[] };

export function aggregate(ask: AggregateAsk, signal?: AbortSignal): Promise<Table> {
  return json(address("/aggregate", {}), { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(ask), signal });
}

export function listExchanges(ask: Range & { q: string; limit: number; cursor?: string; order?: "asc" }, signal?: AbortSignal): Promise<ExchangeList> {
  return json(address("/exchanges", ask), { signal });
}

export function getExchange(id: string, signal?: AbortSignal): Promise<ExchangeDetail> {
  return json(address(exchange(id), {}), { signal });
}

export type BodySide = "request" | "response";

/** Where the kept bytes of a body are; `wire` leaves the content coding on. */
export function bodyAddress(id: string, side: BodySide, coding?: "wire"): string {
  return address(`${exchange(id)}/${side}/body`, { coding });
}

export type BodyPiece = { bytes: Uint8Array<ArrayBuffer>; total: number };

/** The first `limit` bytes of a body (all of it without a limit), and how long it is altogether. */
export async function getBody(id: string, side: BodySide, limit?: number, coding?: "wire", signal?: AbortSignal): Promise<BodyPiece> {
  const headers: Record<string, string> = limit === undefined ? {} : { range: `bytes=0-${limit - 1}` };
  const response = await send(bodyAddress(id, side, coding), { headers, signal });
  const bytes = new Uint8Array(await response.arrayBuffer());
  const total = Number(/\/(\d+)$/.exec(response.headers.get("content-range") ?? "")?.[1] ?? bytes.length);
  return { bytes, total };
}

export const harAddress = (id: string) => address(`${exchange(id)}/har`, {});
export const exportAddress = (ask: Range & { q: string; format: "har" | "ndjson" }) => address("/export", ask);
export const liveAddress = (q: string) => address("/live", { q });

export function getFields(signal?: AbortSignal): Promise<Fields> {
  return json(address("/fields", {}), { signal });
}

export function getFieldValues(field: string, ask: Range & { q: string; prefix?: string; limit: number }, signal?: AbortSignal): Promise<FieldValues> {
  return json(address(`/fields/${encodeURIComponent(field)}/values`, ask), { signal });
}

export function getLedger(signal?: AbortSignal): Promise<Ledger> {
  return json(address("/ledger", {}), { signal });
}

export function getSetup(signal?: AbortSignal): Promise<Setup> {
  return json(address("/setup", {}), { signal });
}

/** Turns a token into a cookie. */
export async function signIn(token: string): Promise<void> {
  const headers = { "content-type": "application/json" };
  await send(address("/session", {}), { method: "POST", headers, body: JSON.stringify({ token }) });
}

export function importFile(format: string, file: Blob, signal?: AbortSignal): Promise<ImportReport> {
  const headers = { "content-type": "application/octet-stream" };
  return json(address("/import", { format }), { method: "POST", headers, body: file, signal });
}
