import { Link } from "@tanstack/react-router";
import { Fragment } from "react";
import type { FieldValue } from "../../api/types";
import { useSettings } from "../../app/settings";
import type { Search } from "../../app/view";
import { Captured, capturedTitle } from "../../components/Captured";
import { Icon } from "../../components/Icon";
import { Status } from "../../components/Status";
import { formatCount, formatDuration, formatShare, formatShort } from "../../lib/numbers";
import { formatAgo, formatFull } from "../../lib/time";
import { changeOf } from "../overview/figures";
import { FAILED, lineQuery, type Cut, type Screen } from "./cuts";
import { COLORS, isRest, MOST_LINES, sizeOf, SORTS, type Row, type Sort } from "./figures";
import styles from "./Breakdown.module.css";

type Props = {
  screen: Screen;
  cut: Cut;
  rows: Row[];
  sort: Sort;
  /** The reader's query. */
  q: string;
  /** The range, as links carry it. */
  link: Search;
  before: Map<string, number> | undefined;
  aliases?: Map<string, string>;
  /** All calls, of which a line is a share. */
  total: number | null;
  /** Whether the first lines are drawn in a chart, so that they have its colours. */
  drawn?: boolean;
  stale: boolean;
  onSort(sort: Sort): void;
  /** Names of values that are codes. */
  nameOf?(value: FieldValue): string;
  /** A line that is pointed at elsewhere. */
  marked?: string | null;
  onMark?(key: string | null): void;
  /** Only name, calls and share: beside something else. */
  slim?: boolean;
};

/** Lines with their figures; the name leads to the calls, a click on a head orders. */
export function BreakdownTable({ screen, cut, rows, sort, q, link, before, aliases, total, drawn, stale, onSort, nameOf, marked, onMark, slim }: Props) {
  // What is left does not dwarf what has a name.
  const named = rows.filter((row) => !isRest(row));
  const most = Math.max(1e-9, ...(named.length > 0 ? named : rows).map((row) => sizeOf(row, sort)));
  const failures = screen.only !== undefined;
  const heads = SORTS.filter((one) => !(failures && one.key === "failed") && !(slim && !["calls", "failed", "p95"].includes(one.key)));
  return (
    <div className={styles.scroll}>
      <table className={[styles.table, stale && styles.stale, slim && styles.slim].filter(Boolean).join(" ")} aria-label={`${screen.title} by ${cut.one}`}>
        <thead>
          <tr>
            <th scope="col">{cut.one}</th>
            {heads.map((one) => (
              <Fragment key={one.key}>
                <th scope="col" aria-sort={one.key === sort.key ? "descending" : undefined} className={styles[`c_${one.key}`]}>
                  <button type="button" onClick={() => onSort(one)} title={`Order by ${one.name}`}>{one.name}{one.key === sort.key && <span aria-hidden="true"> ↓</span>}</button>
                </th>
                {one.key === "calls" && <><th scope="col" className={styles.c_share}>share</th>{before && !slim && <th scope="col" className={styles.c_change} title="against the period before">change</th>}</>}
              </Fragment>
            ))}
            {!slim && <th scope="col" className={styles.c_more}><span className="visually-hidden">more</span></th>}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, at) => (
            <tr key={row.key} className={marked === row.key ? styles.marked : undefined} onMouseEnter={onMark && (() => onMark(row.key))} onMouseLeave={onMark && (() => onMark(null))}>
              <td>
                <span className={styles.bar} style={{ width: `${Math.min(1, sizeOf(row, sort) / most) * 100}%` }} aria-hidden="true" />
                <Link to="/traffic" search={{ ...link, q: lineQuery(q, screen, cut, row) }} className={styles.name} title="the calls in Traffic">
                  {drawn && <i className={styles.swatch} style={{ background: at < MOST_LINES ? `var(${COLORS[at]})` : undefined }} aria-hidden="true" />}
                  <Name cut={cut} row={row} nameOf={nameOf} />
                  {aliases?.has(row.key) && <span className={styles.alias}><Captured text={aliases.get(row.key)!} /></span>}
                </Link>
              </td>
              {heads.map((one) => (
                <Fragment key={one.key}>
                  <Cell sort={one} row={row} search={{ ...link, q: lineQuery(q, screen, cut, row) }} />
                  {one.key === "calls" && (
                    <>
                      <td className={`${styles.c_share} muted`}>{total ? formatShare(row.count / total) : ""}</td>
                      {before && !slim && <td className={`${styles.c_change} muted`}>{changeOf(row.count, before.get(row.key) ?? 0, "count")?.text ?? ""}</td>}
                    </>
                  )}
                </Fragment>
              ))}
              {!slim && (
                <td className={styles.c_more}>
                  <Link to="/overview" search={{ ...link, q: lineQuery(q, screen, cut, row) }} className={styles.open} title="Overview of these calls" aria-label={`Overview of ${labelOf(cut, row, nameOf)}`}><Icon name="overview" size={14} /></Link>
                </td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Name({ cut, row, nameOf }: { cut: Cut; row: Row; nameOf?(value: FieldValue): string }) {
  const [first, second] = row.values;
  if (first === null && (cut.fields.length === 1 || second === null)) return <span className="muted">{cut.none}</span>;
  if (cut.fields[0] === "status") return <Status status={Number(first)} />;
  if (nameOf) return <>{nameOf(first!)}{nameOf(first!) !== first && <> <span className="muted"><Captured text={String(first)} /></span></>}</>;
  if (cut.fields.length === 1) return <Captured text={String(first)} />;
  return <>{first !== null && <span className={styles.lead}><Captured text={String(first)} /></span>} {second === null ? <span className="muted">{cut.none}</span> : <Captured text={String(second)} />}</>;
}

/** The same in one line of plain text. */
export function labelOf(cut: Cut, row: Pick<Row, "values">, nameOf?: (value: FieldValue) => string): string {
  const known = row.values.filter((value) => value !== null);
  if (known.length === 0) return cut.none;
  if (nameOf) return nameOf(known[0]!);
  return known.map((value) => capturedTitle(String(value))).join(" ");
}

function Cell({ sort, row, search }: { sort: Sort; row: Row; search: Search }) {
  const { zone } = useSettings();
  const place = styles[`c_${sort.key}`];
  switch (sort.key) {
    case "calls":
      return <td className={place} title={formatCount(row.count)}>{formatShort(row.count)}</td>;
    case "failed":
      if (!row.errors) return <td className={`${place} muted`}>{row.errors === null ? "–" : "0 %"}</td>;
      return <td className={place}><Link to="/traffic" search={{ ...search, q: addText(search.q, FAILED) }} className={row.errors > 0.01 ? `${styles.figure} ${styles.bad}` : styles.figure} title="the failed calls in Traffic">{formatShare(row.errors)}</Link></td>;
    case "last":
      return <td className={`${place} muted`}>{row.last !== null && <span title={formatFull(row.last, zone)}>{formatAgo(row.last, Date.now())}</span>}</td>;
    default: {
      const value = row[sort.key as "p50" | "p95" | "p99"];
      if (value === null) return <td className={`${place} muted`}>–</td>;
      return <td className={place}><Link to="/traffic" search={{ ...search, q: addText(search.q, `latency:>=${value.toFixed(value < 10 ? 1 : 0)}ms`) }} className={styles.figure} title="these and slower ones in Traffic">{formatDuration(value)}</Link></td>;
    }
  }
}

const addText = (q: string | undefined, more: string): string => (q ? `${q} ${more}` : more);
