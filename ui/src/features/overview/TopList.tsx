import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { rangeSearch } from "../../app/view";
import { Button } from "../../components/Button";
import { Captured } from "../../components/Captured";
import { ErrorNotice } from "../../components/ErrorNotice";
import { Status } from "../../components/Status";
import { formatCount, formatDuration, formatShare, formatShort } from "../../lib/numbers";
import { addFilter } from "../../lib/query-text";
import type { TimeRange } from "../../lib/time";
import styles from "./Overview.module.css";
import { useTop } from "./use-overview";

const FEW = 8;
const MANY = 50;

type Props = {
  title: string;
  field: string;
  order: string;
  q: string;
  range: TimeRange;
  wide?: boolean;
  /** Where all of them are, with more figures. */
  all?: { to: "/endpoints" | "/errors" | "/users" | "/countries"; by?: string; measure?: string };
  /** Names of values that are codes. */
  nameOf?(value: string): string;
};

/** The most of something; each row leads to its calls. */
export function TopList({ title, field, order, q, range, wide, all, nameOf }: Props) {
  const [many, setMany] = useState(false);
  const { data, error, refetch, isPlaceholderData } = useTop(q, range, field, order, many ? MANY : FEW);
  const rows = data?.rows ?? [];
  const measured = (row: (typeof rows)[number]) => (order === "count" ? row.count : (row.p95 ?? 0));
  const most = Math.max(1e-9, ...rows.map(measured));
  const nothing = data !== undefined && rows.every((row) => row.value === null);
  return (
    <section className={wide ? `${styles.list} ${styles.wide}` : styles.list} aria-label={title}>
      <div className={styles.listHead}>
        <h2>{title}</h2>
        {all && <Link to={all.to} search={{ ...rangeSearch(range), q: q || undefined, by: all.by, measure: all.measure }} aria-label={`All ${title.toLowerCase()}`}>All</Link>}
      </div>
      {error && <ErrorNotice error={error} onRetry={() => void refetch()} />}
      {nothing && <p className={styles.nothing}>No call has one.</p>}
      {data && !nothing && (
        <table className={isPlaceholderData ? styles.stale : undefined}>
          <thead>
            <tr><th scope="col"><span className="visually-hidden">{field}</span></th><th scope="col">calls</th><th scope="col">failed</th>{wide && <th scope="col">p95</th>}</tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={String(row.value)}>
                <td>
                  <span className={styles.bar} style={{ width: `${(measured(row) / most) * 100}%` }} aria-hidden="true" />
                  <Link to="/traffic" search={{ ...rangeSearch(range), q: addFilter(q, field, row.value, false) }} className={styles.value}>
                    {row.value === null ? <span className="muted">none</span> : field === "status" ? <Status status={Number(row.value)} /> : <Captured text={nameOf ? nameOf(String(row.value)) : String(row.value)} />}
                  </Link>
                </td>
                <td title={formatCount(row.count)}>{formatShort(row.count)}</td>
                <td className={row.errors !== null && row.errors > 0.01 ? styles.worse : "muted"}>{row.errors === null ? "–" : formatShare(row.errors)}</td>
                {wide && <td>{formatDuration(row.p95)}</td>}
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {data && (data.more || many) && rows.length >= FEW && <Button look="quiet" onClick={() => setMany(!many)}>{many ? "Show fewer" : "Show more"}</Button>}
    </section>
  );
}
