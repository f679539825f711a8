/** What the API hands out; `docs/api.md` says what each means. */

export type Total = { value: number; relation: "eq" | "approx" };

export type ExchangeRow = {
  id: string;
  start_time: string;
  duration_ms: number | null;
  method: string;
  scheme: string;
  host: string;
  path: string;
  query: string | null;
  status: number | null;
  endpoint: string | null;
  operation: string | null;
  protocol: string | null;
  service: string | null;
  route: string | null;
  consumer: string | null;
  user: string | null;
  company: string | null;
  client: string | null;
  request_size: number | null;
  response_size: number | null;
  error: string | null;
  source: string;
  findings: string[];
  weight: number;
};

export type ExchangeList = { exchanges: ExchangeRow[]; next: string | null; total: Total };

export type StatusClass = "1xx" | "2xx" | "3xx" | "4xx" | "5xx" | "other" | "none";

export type HistogramBucket = { start: string; counts: Partial<Record<StatusClass, number>> };

export type Explore = ExchangeList & {
  took_ms: number;
  from: string;
  to: string;
  histogram: { interval_ms: number; buckets: HistogramBucket[] };
};

export type Header = { name: string; value: string };

export type Body = {
  size: number | null;
  captured: "whole" | "cut" | "no";
  reason: string | null;
  captured_size: number;
  media_type: string | null;
  coding: string;
  text?: string;
  base64?: string;
};

export type Timings = {
  blocked: number | null;
  dns: number | null;
  connect: number | null;
  tls: number | null;
  send: number | null;
  wait: number | null;
  receive: number | null;
};

export type RequestMessage = {
  method: string;
  scheme: string;
  host: string;
  path: string;
  query: string | null;
  url: string;
  version: string;
  headers: Header[];
  headers_size: number | null;
  trailers: Header[];
  body: Body;
};

export type ResponseMessage = {
  status: number;
  reason: string | null;
  version: string;
  headers: Header[];
  headers_size: number | null;
  trailers: Header[];
  body: Body;
};

export type ExchangeDetail = {
  id: string;
  start_time: string;
  duration_ms: number | null;
  project: string;
  weight: number;
  origin: { source: string; node: string | null; environment: string | null };
  service: string | null;
  route: string | null;
  consumer: { id: string | null; username: string | null; custom_id: string | null; credential: string | null } | null;
  identity: { user: string | null; company: string | null; subscription: string | null; session: string | null };
  client: { address: string | null; port: number | null };
  server: { address: string | null; port: number | null };
  request: RequestMessage;
  response: ResponseMessage | null;
  timings: Timings;
  error: string | null;
  operation: { protocol: string; template: string; name: string | null; kind: string | null; error: string | null } | null;
  findings: { kind: string; severity: string; location: string; evidence: string }[];
  attributes: { name: string; value: unknown }[];
};

export type Field = { name: string; aliases: string[]; type: string; about: string };
export type Fields = { fields: Field[]; families: { prefix: string; about: string }[] };
export type FieldValues = { values: { value: string | number | boolean | null; count: number }[]; more: boolean; approximate: boolean };

export type Side = { name: string; offered: number; dropped: Record<string, number>; held: number };
export type SourceLedger = Side & { accepted: number };
export type TargetLedger = Side & {
  kind: string;
  delivered: number;
  lag_seconds: number;
  retries: number;
  last_error: { at: string; message: string } | null;
};

export type Ledger = {
  as_of: string;
  balanced: boolean;
  sources: SourceLedger[];
  targets: TargetLedger[];
  journal: { bytes: number; max_bytes: number; oldest: string | null };
  store: { exchanges: number; bytes: number; uncommitted: number; oldest: string | null; newest: string | null };
};

export type Setup = {
  version: string;
  addresses: { proxy: string | null; proxy_tls: string | null; admin: string | null; server: string | null };
  exchanges: number;
  first_exchange: ExchangeRow | null;
  token: string | null;
};

export type ImportReport = {
  offered: number;
  accepted: number;
  rejected: number;
  rejections: { line: number; reason: string }[];
};

/** A problem detail (RFC 9457). `offset` and `length` count UTF-8 bytes of the parameter. */
export type Problem = {
  type?: string;
  title: string;
  status: number;
  detail?: string;
  errors?: { pointer?: string; parameter?: string; detail: string; offset?: number; length?: number }[];
};
