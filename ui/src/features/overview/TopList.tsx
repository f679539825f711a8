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

/** The most of something; each row leads to its calls. */
export function TopList({ title, field, order, q, range, wide }: { title: string; field: string; order: string; q: string; range: TimeRange; wide?: boolean }) {
  const [all, setAll] = useState(false);
  const { data, error, refetch, isPlaceholderData } = useTop(q, range, field, order, all ? MANY : FEW);
  const rows = data?.rows ?? [];
  const measured = (row: (typeof rows)[number]) => (order === "count" ? row.count : (row.p95 ?? 0));
  const most = Math.max(1e-9, ...rows.map(measured));
  const nothing = data !== undefined && rows.every((row) => row.value === null);
  return (
    <section className={wide ? `${styles.list} ${styles.wide}` : styles.list} aria-label={title}>
      <h2>{title}</h2>
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
                    {row.value === null ? <span className="muted">none</span> : field === "status" ? <Status status={Number(row.value)} /> : <Captured text={String(row.value)} />}
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
      {data && (data.more || all) && rows.length >= FEW && <Button look="quiet" onClick={() => setAll(!all)}>{all ? "Show fewer" : "Show more"}</Button>}
    </section>
  );
}
