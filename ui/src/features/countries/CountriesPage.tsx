import { Link } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { ApiError } from "../../api/client";
import type { FieldValue } from "../../api/types";
import { rangeSearch, useView } from "../../app/view";
import { ErrorNotice } from "../../components/ErrorNotice";
import { Notice } from "../../components/Notice";
import { formatCount, formatDuration, formatShare, formatShort } from "../../lib/numbers";
import { absolute } from "../../lib/time";
import { BreakdownTable } from "../breakdown/BreakdownTable";
import { FirstLines } from "../breakdown/BreakdownPage";
import { lineQuery, SCREENS } from "../breakdown/cuts";
import { SORTS, sortOf, type Row, type Sort } from "../breakdown/figures";
import { useOverTime, useRows } from "../breakdown/use-breakdown";
import { useActivity, useTotals } from "../overview/use-overview";
import { PageQuery } from "../traffic/PageQuery";
import styles from "./Countries.module.css";
import { countryName } from "../../lib/countries";
import { boundsOf } from "./scale";
import { WorldMap, type Place } from "./WorldMap";

const SCREEN = SCREENS.countries;
const CUT = SCREEN.cuts[0]!;
/** There are fewer countries. */
const ALL = 400;
const DRAWN = SORTS.filter((sort) => ["calls", "failed", "p95"].includes(sort.key));

const measured = (row: Row, sort: Sort): number | null => (sort.key === "failed" ? row.errors : sort.key === "p95" ? row.p95 : row.count);
const nameOf = (value: FieldValue) => countryName(String(value));

/** Where calls come from: on a map, and as a table that says the same. */
export function CountriesPage() {
  const { q, range, change, search } = useView();
  const [marked, setMarked] = useState<string | null>(null);
  const sort = DRAWN.find((one) => one === sortOf(search.measure)) ?? DRAWN[0]!;
  const rows = useRows(q, range, CUT, sort, "", ALL);
  const totals = useTotals(q, range, 0);
  const activity = useActivity(q, range);
  const columns = useMemo(() => (activity.data ? { from: activity.data.from, to: activity.data.to, intervalMs: activity.data.histogram.interval_ms } : null), [activity.data]);
  const lines = useOverTime(q, columns, CUT, sort, rows.data?.rows, (row) => (row.values[0] === null ? CUT.none : nameOf(row.values[0]!)));
  const known = useMemo(() => (rows.data?.rows ?? []).filter((row) => row.values[0] !== null), [rows.data]);
  const unknown = rows.data?.rows.find((row) => row.values[0] === null);
  const format = sort.key === "calls" ? formatShort : sort.key === "failed" ? formatShare : (value: number) => formatDuration(value);
  const bounds = useMemo(() => boundsOf(known.map((row) => measured(row, sort) ?? 0), sort.key === "calls" ? "count" : "even"), [known, sort]);
  const link = rangeSearch(range);
  const places = known.map((row): Place => {
    const code = String(row.values[0]).toUpperCase();
    const value = measured(row, sort);
    const calls = `${formatCount(row.count)} ${row.count === 1 ? "call" : "calls"}`;
    return { key: row.key, code, name: countryName(code), value, text: sort.key === "calls" || value === null ? calls : `${format(value)}, ${calls}`, search: { ...link, q: lineQuery(q, SCREEN, CUT, row) } };
  });
  const error = rows.error;
  const badQuery = error instanceof ApiError && error.about("q") !== undefined;
  const onSort = (next: Sort) => change({ measure: next.key === SORTS[0]!.key ? undefined : next.key });
  return (
    <div className={styles.page}>
      <header className={styles.head}>
        <h1>{SCREEN.title}</h1>
        {rows.data?.approximate && <span className="muted">figures are estimates</span>}
        <label className={styles.choice}>
          Colour by
          <select value={sort.key} onChange={(event) => onSort(sortOf(event.target.value))}>
            {DRAWN.map((one) => <option key={one.key} value={one.key}>{one.key === "p95" ? "p95 latency" : one.name}</option>)}
          </select>
        </label>
      </header>
      <div className={styles.query}><PageQuery error={error} /></div>
      {error && !badQuery && <ErrorNotice error={error} onRetry={() => void rows.refetch()} busy={rows.isFetching} />}
      {rows.data && rows.data.rows.length === 0 && <Notice title="No calls in this time"><Link to="/countries" search={{ ...search, from: "all", to: undefined }}>Look at all time</Link></Notice>}
      {rows.data && rows.data.rows.length > 0 && known.length === 0 && <NoCountries />}
      {known.length > 0 && (
        <div className={rows.isPlaceholderData ? `${styles.columns} ${styles.stale}` : styles.columns}>
          <div className={styles.left}>
            <section className={styles.mapPanel} aria-label="Map">
            <WorldMap places={places} bounds={bounds} format={format} measure={sort.title.toLowerCase()} bad={sort.key === "failed"} marked={marked} onMark={setMarked} />
            {unknown && (
              <p className={styles.unknown}>
                <Link to="/traffic" search={{ ...link, q: lineQuery(q, SCREEN, CUT, unknown) }}>{formatCount(unknown.count)} {unknown.count === 1 ? "call" : "calls"}</Link> of no known country{totals.data?.count ? <span className="muted"> ({formatShare(unknown.count / totals.data.count)})</span> : null}
              </p>
            )}
            </section>
            <FirstLines sort={sort} cut={CUT} lines={lines} count={rows.data!.rows.length} onZoom={(from, to) => change(rangeSearch(absolute(from, to)))} />
          </div>
          <BreakdownTable screen={SCREEN} cut={CUT} rows={rows.data!.rows} sort={sort} q={q} link={link} before={undefined} total={totals.data?.count ?? null} drawn stale={false} onSort={onSort} nameOf={nameOf} marked={marked} onMark={setMarked} slim />
        </div>
      )}
    </div>
  );
}

function NoCountries() {
  return (
    <Notice title="No call of this time has a country">
      <p>Name a MaxMind database in the setting <code>identify.geo_database</code>, and clients are looked up from then on. Reporters that know the country, such as Tyk's gateways with <code>enable_geo_ip</code>, say it themselves.</p>
    </Notice>
  );
}
