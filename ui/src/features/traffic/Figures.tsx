/** The same query drawn otherwise: measures over time, and the most of a field. */
import { useQuery, keepPreviousData } from "@tanstack/react-query";
import type { MouseEvent } from "react";
import { aggregate } from "../../api/client";
import type { FieldValue } from "../../api/types";
import { useRefreshCount } from "../../app/refresh";
import { useView } from "../../app/view";
import { Lines, type LinesData } from "../../charts/Lines";
import { Captured } from "../../components/Captured";
import { ErrorNotice } from "../../components/ErrorNotice";
import { formatBytes, formatCount, formatDuration, formatShare, formatShort } from "../../lib/numbers";
import { forApi } from "../../lib/time";
import { useFields } from "./explore";
import { columnsOf, MEASURES, measureOf, splitLines } from "./figures-data";
import styles from "./Figures.module.css";

const usual = { placeholderData: keepPreviousData, staleTime: 30_000, gcTime: 60_000 } as const;

/** Fields that have few enough values to be counted by. */
function FieldChoice({ label, value, none, onChange }: { label: string; value: string; none?: string; onChange(field: string): void }) {
  const { data } = useFields();
  const names = (data?.fields ?? []).filter((field) => ["keyword", "integer", "bool"].includes(field.type)).map((field) => field.aliases[0] ?? field.name);
  return (
    <label className={styles.choice}>
      {label}
      <select value={value} onChange={(event) => onChange(event.target.value)}>
        {none !== undefined && <option value="">{none}</option>}
        {value !== "" && !names.includes(value) && <option value={value}>{value}</option>}
        {names.map((name) => <option key={name} value={name}>{name}</option>)}
      </select>
    </label>
  );
}

function MeasureChoice({ label, value, onChange }: { label: string; value: string; onChange(measure: string): void }) {
  return (
    <label className={styles.choice}>
      {label}
      <select value={value} onChange={(event) => onChange(event.target.value)}>
        {MEASURES.map((measure) => <option key={measure.key} value={measure.key}>{measure.name}</option>)}
      </select>
    </label>
  );
}

/** Values of a line drawn apart from the others. */
const MOST_LINES = 6;

/** One measure over time, altogether or for the most frequent values of a field. */
export function ChartView({ q, from, to, intervalMs, onZoom }: { q: string; from: string; to: string; intervalMs: number; onZoom(from: number, to: number): void }) {
  const { search, change } = useView();
  const measure = measureOf(search.measure);
  const by = search.by ?? "";
  const { data, error, refetch, isPlaceholderData } = useQuery({
    queryKey: ["figures", "chart", q, from, to, intervalMs, measure.key, by],
    queryFn: async ({ signal }): Promise<LinesData> => {
      const interval = `${Math.max(1, Math.round(intervalMs / 1000))}s`;
      const columns = columnsOf(Date.parse(from), Date.parse(to), Math.max(1000, intervalMs));
      if (by === "") {
        const table = await aggregate({ q, from, to, interval, measures: measure.lines.map((line) => line.ask), limit: 2000 }, signal);
        return { ...columns, series: splitLines(table, columns.starts, measure.lines.map((line) => line.name), null) };
      }
      const top = await aggregate({ q, from, to, group_by: [by], measures: ["count"], limit: MOST_LINES }, signal);
      const values = top.rows.map((row) => row[0] as FieldValue).filter((value) => value !== null);
      if (values.length === 0) return { ...columns, series: [] };
      const table = await aggregate({ q, from, to, interval, group_by: [by], filter: { field: by, op: "in", values: values as (string | number | boolean)[] }, measures: [measure.single], limit: 10_000 }, signal);
      return { ...columns, series: splitLines(table, columns.starts, [], values) };
    },
    ...usual,
  });
  return (
    <div className={styles.view}>
      <div className={styles.controls}>
        <MeasureChoice label="Show" value={measure.key} onChange={(key) => change({ measure: key === MEASURES[0]!.key ? undefined : key }, { replace: true })} />
        <FieldChoice label="by" value={by} none="all calls" onChange={(field) => change({ by: field || undefined }, { replace: true })} />
      </div>
      {error && <ErrorNotice error={error} onRetry={() => void refetch()} />}
      {data && data.series.length === 0 && <p className={styles.sentence}>No call of these has a {by}.</p>}
      {data && data.series.length > 0 && <div className={isPlaceholderData ? styles.stale : undefined}><Lines data={data} title={`${measure.name} over time`} height={320} format={measure.format} onZoom={onZoom} /></div>}
    </div>
  );
}

const MOST_ROWS = 200;

/** The most frequent, slowest or most failing values of a field. A click asks for only that, with Alt for all but that. */
export function TopView({ q, onFilter }: { q: string; onFilter(field: string, value: FieldValue, without: boolean): void }) {
  const { search, range, change } = useView();
  const by = search.by ?? "endpoint";
  const measure = measureOf(search.measure ?? "calls");
  const count = useRefreshCount();
  const { data, error, refetch, isPlaceholderData } = useQuery({
    queryKey: ["figures", "top", q, range.from, range.to, by, measure.key, count],
    queryFn: ({ signal }) => aggregate({ q, ...forApi(range, Date.now(), "local"), group_by: [by], measures: ["count", "error_ratio", "p50(latency)", "p95(latency)", "sum(size)"], order_by: measure.single, limit: MOST_ROWS }, signal),
    ...usual,
  });
  const at = data?.columns.findIndex((column) => column.name === measure.single) ?? -1;
  const most = Math.max(1e-9, ...(data?.rows.map((row) => Number(row[at] ?? 0)) ?? []));
  const number = (value: unknown) => (typeof value === "number" ? value : null);
  return (
    <div className={styles.view}>
      <div className={styles.controls}>
        <FieldChoice label="Top" value={by} onChange={(field) => change({ by: field === "endpoint" ? undefined : field }, { replace: true })} />
        <MeasureChoice label="by" value={measure.key} onChange={(key) => change({ measure: key === "calls" ? undefined : key }, { replace: true })} />
        {data?.more && <span className="muted">the first {MOST_ROWS}</span>}
      </div>
      {error && <ErrorNotice error={error} onRetry={() => void refetch()} />}
      {data && (
        <div className={isPlaceholderData ? `${styles.scroll} ${styles.stale}` : styles.scroll}>
          <table className={styles.table} aria-label={`Top ${by}`}>
            <thead><tr><th scope="col">{by}</th><th scope="col">calls</th><th scope="col">failed</th><th scope="col">p50</th><th scope="col">p95</th><th scope="col" className={styles.optional}>sent</th></tr></thead>
            <tbody>
              {data.rows.map((row) => {
                const value = row[0] as FieldValue;
                const pick = (event: MouseEvent) => onFilter(by, value, event.altKey);
                return (
                  <tr key={String(value)}>
                    <td>
                      <span className={styles.bar} style={{ width: `${(Number(row[at] ?? 0) / most) * 100}%` }} aria-hidden="true" />
                      <button type="button" className={styles.value} onClick={pick} title="only these; with Alt without these">{value === null ? <span className="muted">none</span> : <Captured text={String(value)} />}</button>
                    </td>
                    <td title={formatCount(number(row[1]) ?? 0)}>{formatShort(number(row[1]) ?? 0)}</td>
                    <td>{number(row[2]) === null ? "–" : formatShare(number(row[2])!)}</td>
                    <td>{formatDuration(number(row[3]))}</td>
                    <td>{formatDuration(number(row[4]))}</td>
                    <td className={styles.optional}>{formatBytes(number(row[5]))}</td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
    </div>
  );
}
