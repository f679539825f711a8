import { Link } from "@tanstack/react-router";
import { useMemo, type ReactNode } from "react";
import { ApiError } from "../../api/client";
import { useSetup } from "../../api/ledger";
import { rangeSearch, useView } from "../../app/view";
import { Histogram } from "../../charts/Histogram";
import { histogramOf } from "../../charts/histogram-data";
import { Lines } from "../../charts/Lines";
import { ErrorNotice } from "../../components/ErrorNotice";
import { Notice } from "../../components/Notice";
import { formatDuration } from "../../lib/numbers";
import { countryName } from "../../lib/countries";
import { absolute } from "../../lib/time";
import { StartPage } from "../start/StartPage";
import { PageQuery } from "../traffic/PageQuery";
import styles from "./Overview.module.css";
import { Tiles } from "./Tiles";
import { TopList } from "./TopList";
import { useActivity, useLatency, useTotals } from "./use-overview";

/** How much, how well, by whom: each figure leads to its calls. */
export function OverviewPage() {
  const setup = useSetup();
  return setup.data?.exchanges === 0 ? <StartPage /> : <Overview />;
}

function Overview() {
  const { q, range, change, search } = useView();
  const activity = useActivity(q, range);
  const now = useTotals(q, range, 0);
  const before = useTotals(q, range, -1);
  const data = useMemo(() => (activity.data ? histogramOf(activity.data) : null), [activity.data]);
  const columns = useMemo(() => (activity.data ? { from: activity.data.from, to: activity.data.to, intervalMs: activity.data.histogram.interval_ms } : null), [activity.data]);
  const latency = useLatency(q, columns);
  const zoom = (from: number, to: number) => change(rangeSearch(absolute(from, to)));
  const link = { ...rangeSearch(range), q: search.q };
  const error = activity.error ?? now.error;
  const badQuery = error instanceof ApiError && error.about("q") !== undefined;
  const none = now.data?.count === 0 && !now.isPlaceholderData;
  return (
    <div className={styles.page}>
      <header className={styles.head}>
        <h1>Overview</h1>
        {activity.data?.total.relation === "approx" && <span className="muted">figures are estimates</span>}
      </header>
      <div className={styles.query}><PageQuery error={error} /></div>
      {error && !badQuery && <ErrorNotice error={error} onRetry={() => { void activity.refetch(); void now.refetch(); }} busy={activity.isFetching} />}
      {now.data && <Tiles now={now.data} before={range.from === "all" ? undefined : before.data} link={link} q={q} stale={now.isPlaceholderData} />}
      {none && <Notice title="No calls in this time"><Link to="/overview" search={{ from: "all", q: search.q }}>Look at all time</Link></Notice>}
      {!none && (
        <>
          <div className={styles.charts}>
            <Panel title="Calls">{data && <Histogram data={data} onZoom={zoom} />}</Panel>
            <Panel title="Latency">{latency.data && <Lines data={latency.data} title="Latency over time" format={(value) => formatDuration(value)} onZoom={zoom} />}</Panel>
          </div>
          <div className={styles.lists}>
            <TopList title="Popular endpoints" field="endpoint" order="count" q={q} range={range} wide all={{ to: "/endpoints" }} />
            <TopList title="Slow endpoints" field="endpoint" order="p95(latency)" q={q} range={range} wide all={{ to: "/endpoints", measure: "p95" }} />
            <TopList title="Status codes" field="status" order="count" q={q} range={range} all={{ to: "/errors" }} />
            <TopList title="Services" field="service" order="count" q={q} range={range} all={{ to: "/endpoints", by: "service" }} />
            <TopList title="Users" field="user" order="count" q={q} range={range} all={{ to: "/users" }} />
            <TopList title="Countries" field="country" order="count" q={q} range={range} all={{ to: "/countries" }} nameOf={countryName} />
          </div>
        </>
      )}
    </div>
  );
}

function Panel({ title, children }: { title: string; children: ReactNode }) {
  return (
    <div className={styles.panel}>
      <h2>{title}</h2>
      {children ?? null}
    </div>
  );
}
