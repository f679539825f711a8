/** What the list can show of a call, and the choice of it as it stands in a link: `time,status:60,endpoint`. */
import type { ExchangeRow } from "../../api/types";

export type Column = {
  key: string;
  title: string;
  /** The query field behind it, when its values can be filtered. */
  field?: string;
  width: number;
  /** Takes the room that is left. */
  flexible?: boolean;
  right?: boolean;
  value(row: ExchangeRow): string | number | null;
};

export const COLUMNS: Column[] = [
  { key: "time", title: "Time", width: 106, value: (row) => row.start_time },
  { key: "method", title: "Method", field: "method", width: 74, value: (row) => row.method },
  { key: "status", title: "Status", field: "status", width: 72, value: (row) => row.status },
  { key: "host", title: "Host", field: "host", width: 170, value: (row) => withoutPort(row.host) },
  { key: "endpoint", title: "Endpoint", field: "endpoint", width: 200, flexible: true, value: (row) => row.endpoint ?? row.path },
  { key: "path", title: "Path", field: "path", width: 240, flexible: true, value: (row) => row.path },
  { key: "query", title: "Query string", field: "query", width: 180, value: (row) => row.query },
  { key: "operation", title: "Operation", field: "operation", width: 140, value: (row) => row.operation },
  { key: "protocol", title: "Protocol", field: "protocol", width: 88, value: (row) => row.protocol },
  { key: "service", title: "Service", field: "service", width: 120, value: (row) => row.service },
  { key: "route", title: "Route", field: "route", width: 120, value: (row) => row.route },
  { key: "consumer", title: "Consumer", field: "consumer", width: 120, value: (row) => row.consumer },
  { key: "user", title: "User", field: "user", width: 120, value: (row) => row.user },
  { key: "company", title: "Company", field: "company", width: 120, value: (row) => row.company },
  { key: "client", title: "Client", field: "client", width: 124, value: (row) => row.client },
  { key: "error", title: "Error", field: "error", width: 150, value: (row) => row.error },
  { key: "findings", title: "Findings", field: "finding", width: 130, value: (row) => row.findings.join(", ") || null },
  { key: "source", title: "Source", field: "source", width: 92, value: (row) => row.source },
  { key: "latency", title: "Latency", width: 116, right: true, value: (row) => row.duration_ms },
  { key: "request_size", title: "Sent", width: 78, right: true, value: (row) => row.request_size },
  { key: "size", title: "Size", width: 78, right: true, value: (row) => row.response_size },
];

const BY_KEY = new Map(COLUMNS.map((column) => [column.key, column]));
const WIDE = "time,method,status,host,endpoint,user,latency,size";
const NARROW = "time:86,method:58,status:64,endpoint,latency:72";
/** What is left of the list while a call is open beside it. */
const BESIDE = "time,method,status,endpoint,latency";

export type Shown = Column & { width: number; /** Whether the reader set the width. */ fixed: boolean };

export function readColumns(text: string | undefined, room: "wide" | "beside" | "narrow"): Shown[] {
  const usual = room === "wide" ? WIDE : room === "beside" ? BESIDE : NARROW;
  const seen = new Set<string>();
  const shown = (text ?? usual).split(",").flatMap((part): Shown[] => {
    const [key = "", width] = part.split(":");
    const column = BY_KEY.get(key);
    if (!column || seen.has(key)) return [];
    seen.add(key);
    const wanted = Number(width);
    return [wanted >= 40 && wanted <= 1600 ? { ...column, width: Math.round(wanted), fixed: true } : { ...column, fixed: false }];
  });
  return shown.length > 0 ? shown : readColumns(usual, room);
}

export const formatColumns = (columns: Shown[]): string => columns.map((column) => (column.fixed ? `${column.key}:${column.width}` : column.key)).join(",");

/** A flexible column is never narrower. */
const LEAST = 110;

/** Columns as a CSS grid; without a flexible one the last takes the rest. */
export function gridTemplate(columns: Shown[]): { template: string; minWidth: number } {
  const flexible = columns.some((column) => column.flexible && !column.fixed);
  const tracks = columns.map((column, index) =>
    (column.flexible && !column.fixed) || (!flexible && index === columns.length - 1) ? `minmax(${LEAST}px, 1fr)` : `${column.width}px`,
  );
  return { template: tracks.join(" "), minWidth: columns.reduce((sum, column) => sum + (column.flexible && !column.fixed ? LEAST : column.width), 0) };
}

/** As the field `server.address` has it. */
export function withoutPort(host: string): string {
  return /^\[.*\]:\d+$|^[^:]+:\d+$/.test(host) ? host.replace(/:\d+$/, "") : host;
}
