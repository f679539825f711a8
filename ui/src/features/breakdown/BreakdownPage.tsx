import { Link, useLocation } from "@tanstack/react-router";
import { useMemo, useState, type ReactNode } from "react";
import { ApiError } from "../../api/client";
import { rangeSearch, useView } from "../../app/view";
import { Histogram } from "../../charts/Histogram";
import { histogramOf } from "../../charts/histogram-data";
import { Lines } from "../../charts/Lines";
import { Button } from "../../components/Button";
import { ErrorNotice } from "../../components/ErrorNotice";
import { Notice } from "../../components/Notice";
import { absolute } from "../../lib/time";
import { useSettled } from "../../lib/use-settled";
import { useActivity, useTotals } from "../overview/use-overview";
import { PageQuery } from "../traffic/PageQuery";
import { BreakdownTable, labelOf } from "./BreakdownTable";
import styles from "./Breakdown.module.css";
import { cutOf, screenOf, screenQuery, type Cut, type Screen } from "./cuts";
import { MOST_LINES, SORTS, sortOf, type Row, type Sort } from "./figures";
import { useAliases, useBefore, useOverTime, useRows } from "./use-breakdown";

const FEW = 50;
const MANY = 500;

/** Calls by endpoint, service, key, error …: which are popular, which slow, which fail, and when. */
export function BreakdownPage({ tabs }: { /** What stands above instead of the cuts of the screen alone. */ tabs?: ReactNode }) {
  const screen = screenOf(useLocation({ select: (location) => location.pathname }));
  const { search } = useView();
  const cut = cutOf(screen, search.by);
  return (
    <div className={styles.page}>
      {tabs ?? <CutTabs screen={screen} current={cut} />}
      <Breakdown key={`${screen.path} ${cut.key}`} screen={screen} cut={cut} />
    </div>
  );
}

/** The ways to cut, as links that keep query and range. */
export function CutTabs({ screen, current, children }: { screen: Screen; current: Cut | null; children?: ReactNode }) {
  const { range, search } = useView();
  const kept = { ...rangeSearch(range), q: search.q };
  return (
    <nav className={styles.tabs} aria-label={`${screen.title} by`}>
      {children}
      {screen.cuts.map((cut, at) => (
        <Link key={cut.key} to={screen.path} search={{ ...kept, by: at === 0 ? undefined : cut.key }} className={styles.tab} activeOptions={{ exact: true, explicitUndefined: true }} aria-current={cut.key === current?.key ? "page" : undefined}>{cut.title}</Link>
      ))}
    </nav>
  );
}

function Breakdown({ screen, cut }: { screen: Screen; cut: Cut }) {
  const { q, range, change, search } = useView();
  const [find, setFind] = useState(search.find ?? "");
  const [limit, setLimit] = useState(FEW);
  const wanted = useSettled(find.trim());
  const sort = sortOf(search.measure);
  const asked = screenQuery(q, screen);
  const rows = useRows(asked, range, cut, sort, wanted, limit);
  const totals = useTotals(q, range, 0);
  const before = useBefore(asked, range, cut, rows.data?.rows);
  const aliases = useAliases(asked, range, cut, rows.data?.rows);
  const error = rows.error;
  const badQuery = error instanceof ApiError && error.about("q") !== undefined;
  const nothing = rows.data !== undefined && !rows.isPlaceholderData && rows.data.rows.every((row) => row.values.every((value) => value === null));
  const searched = (text: string) => {
    setFind(text);
    change({ find: text || undefined }, { replace: true });
  };
  return (
    <>
      <header className={styles.head}>
        <h1>{screen.only ? screen.title : cut.title}</h1>
        {rows.data?.approximate && <span className="muted">figures are estimates</span>}
        {cut.text && <input type="search" className={styles.find} aria-label={`Find ${cut.one}`} placeholder={`Find ${cut.one}`} value={find} spellCheck={false} autoComplete="off" onChange={(event) => searched(event.target.value)} />}
      </header>
      <div className={styles.query}><PageQuery error={error} /></div>
      {error && !badQuery && <ErrorNotice error={error} onRetry={() => void rows.refetch()} busy={rows.isFetching} />}
      {rows.data && nothing ? (
        <Nothing screen={screen} cut={cut} find={wanted} some={rows.data.rows.length > 0} onClear={() => searched("")} />
      ) : (
        rows.data && (
          <>
            <OverTime screen={screen} cut={cut} q={asked} rows={rows.data.rows} />
            <BreakdownTable
              screen={screen} cut={cut} rows={rows.data.rows} sort={sort} q={q} link={rangeSearch(range)} before={before.data} aliases={aliases.data} total={totals.data?.count ?? null} drawn stale={rows.isPlaceholderData}
              onSort={(next) => change({ measure: next.key === SORTS[0]!.key ? undefined : next.key })}
            />
            {(rows.data.more || limit > FEW) && <Button onClick={() => setLimit(limit === FEW ? MANY : FEW)}>{limit === FEW ? "Show more" : rows.data.more ? `The first ${MANY}; show fewer` : "Show fewer"}</Button>}
          </>
        )
      )}
    </>
  );
}

function OverTime({ screen, cut, q, rows }: { screen: Screen; cut: Cut; q: string; rows: Row[] }) {
  const { range, change, search } = useView();
  const sort = sortOf(search.measure);
  const activity = useActivity(q, range);
  const columns = useMemo(() => (activity.data ? { from: activity.data.from, to: activity.data.to, intervalMs: activity.data.histogram.interval_ms } : null), [activity.data]);
  const histogram = useMemo(() => (activity.data ? histogramOf(activity.data) : null), [activity.data]);
  const lines = useOverTime(q, columns, cut, sort, rows, (row) => labelOf(cut, row));
  const zoom = (from: number, to: number) => change(rangeSearch(absolute(from, to)));
  return (
    <div className={styles.charts}>
      <div className={styles.panel}>
        <h2>{screen.only ? "Failing calls" : "Calls"}</h2>
        {histogram && <Histogram data={histogram} onZoom={zoom} />}
      </div>
      <FirstLines sort={sort} cut={cut} lines={lines} count={rows.length} onZoom={zoom} />
    </div>
  );
}

/** What the first lines did over time; their names stand in the table, with the colours. */
export function FirstLines({ sort, cut, lines, count, onZoom }: { sort: Sort; cut: Cut; lines: ReturnType<typeof useOverTime>; count: number; onZoom(from: number, to: number): void }) {
  const drawn = Math.min(count, MOST_LINES);
  return (
    <div className={styles.panel}>
      <h2>{sort.title}{count > drawn && <span className={styles.of}> of the first {drawn}</span>}</h2>
      {lines.data && <div className={lines.isPlaceholderData ? styles.stale : undefined}><Lines data={lines.data} title={`${sort.title} by ${cut.one}`} format={sort.format} onZoom={onZoom} /></div>}
    </div>
  );
}

function Nothing({ screen, cut, find, some, onClear }: { screen: Screen; cut: Cut; find: string; some: boolean; onClear(): void }) {
  const { search } = useView();
  if (find !== "") return <Notice title={`No ${cut.one} has «${find}» in it`}><Button onClick={onClear}>Show all</Button></Notice>;
  if (some) return <Notice title={`No call of this time has ${/^[aeiouAEIOU]/.test(cut.one) ? "an" : "a"} ${cut.one}`} />;
  return (
    <Notice title={screen.only ? "Nothing failed in this time" : "No calls in this time"}>
      <Link to={screen.path} search={{ ...search, from: "all", to: undefined }}>Look at all time</Link>
    </Notice>
  );
}
