import { Link } from "@tanstack/react-router";
import { formatCount, formatDuration, formatShare, formatShort } from "../../lib/numbers";
import { addFilter } from "../../lib/query-text";
import { changeOf, type Totals } from "./figures";
import styles from "./Overview.module.css";

type LinkSearch = { from?: string; to?: string; q?: string };

/** The figures of a set of calls; each leads to those it is about. */
export function Tiles({ now, before, link, q, stale }: { now: Totals; before: Totals | undefined; link: LinkSearch; q: string; stale: boolean }) {
  // What the error ratio counts is not one filter; the failed answers are what one wants to look at.
  const failed = { ...link, q: addFilter(q, "status_class", "5xx", false) };
  const slower = (limit: number | null) => (limit === null ? link : { ...link, q: `${q === "" ? "" : `${q} `}latency:>=${limit.toFixed(limit < 10 ? 1 : 0)}ms` });
  return (
    <ul className={stale ? `${styles.tiles} ${styles.stale}` : styles.tiles}>
      <Tile name="calls" figure={formatShort(now.count)} exact={formatCount(now.count)} change={changeOf(now.count, before?.count ?? null, "count")} search={link} />
      <Tile name="failed" figure={now.errors === null ? "–" : formatShare(now.errors)} change={changeOf(now.errors, before?.errors ?? null, "share")} search={failed} />
      {(["p50", "p95", "p99"] as const).map((name) => <Tile key={name} name={`${name} latency`} figure={formatDuration(now[name])} change={changeOf(now[name], before?.[name] ?? null, "duration")} search={slower(now[name])} />)}
    </ul>
  );
}

function Tile({ name, figure, exact, change, search }: { name: string; figure: string; exact?: string; change: ReturnType<typeof changeOf>; search: LinkSearch }) {
  return (
    <li>
      <Link to="/traffic" search={search} className={styles.tile} title={exact}>
        <span className={styles.figure}>{figure}</span>
        <span className="muted">{name}</span>
        {change && <span className={styles[change.tone]} title="against the period before">{change.text}{change.tone === "worse" && <span className="visually-hidden">, worse</span>}{change.tone === "better" && <span className="visually-hidden">, better</span>}</span>}
      </Link>
    </li>
  );
}
