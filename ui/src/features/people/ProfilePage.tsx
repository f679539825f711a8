import { useQuery } from "@tanstack/react-query";
import { Link, useLocation, useParams } from "@tanstack/react-router";
import { useMemo } from "react";
import { listExchanges } from "../../api/client";
import type { Profile } from "../../api/types";
import { useRefreshCount } from "../../app/refresh";
import { useSettings } from "../../app/settings";
import { rangeSearch, useView } from "../../app/view";
import { Histogram } from "../../charts/Histogram";
import { histogramOf } from "../../charts/histogram-data";
import { Captured } from "../../components/Captured";
import { ErrorNotice } from "../../components/ErrorNotice";
import { Status } from "../../components/Status";
import { formatDuration, formatTotal } from "../../lib/numbers";
import { filterText } from "../../lib/query-text";
import { absolute, forApi, formatAgo, formatFull, formatInstant } from "../../lib/time";
import { Tiles } from "../overview/Tiles";
import { TopList } from "../overview/TopList";
import { useActivity, useTotals } from "../overview/use-overview";
import { factsOf, KINDS, usePeople, useProfile } from "./people";
import styles from "./People.module.css";
import { PeopleTable, PeopleTabs, PersonLink } from "./PeoplePage";

/** One user or company: what reporters said, and what the calls say. */
export function ProfilePage() {
  const { id } = useParams({ strict: false }) as { id: string };
  const path = useLocation({ select: (location) => location.pathname.split("/")[1] });
  const kind = path === "companies" ? KINDS.companies : KINDS.users;
  const profile = useProfile(kind, id);
  const { range } = useView();
  const q = filterText(kind.field, id, false);
  return (
    <div className={styles.page}>
      <PeopleTabs current={kind} />
      <header className={styles.profileHead}>
        <h1><Captured text={profile.data?.name || id} /></h1>
        {profile.data && <Headline profile={profile.data} id={id} />}
        {profile.data === null && <p className="muted">No reporter said anything of this {kind.one}; its calls are below.</p>}
      </header>
      {profile.error && <ErrorNotice error={profile.error} onRetry={() => void profile.refetch()} busy={profile.isFetching} />}
      <Activity q={q} />
      <div className={styles.columns}>
        <LatestCalls q={q} />
        <div>
          {profile.data && <Facts profile={profile.data} />}
          <TopList title="Endpoints" field="endpoint" order="count" q={q} range={range} />
        </div>
      </div>
      {kind.one === "company" && <Members id={id} />}
    </div>
  );
}

function Headline({ profile, id }: { profile: Profile; id: string }) {
  const { zone } = useSettings();
  const now = Date.now();
  const when = (instant: string) => <span title={formatFull(Date.parse(instant), zone)}>{formatAgo(Date.parse(instant), now)}</span>;
  return (
    <p className={styles.headline}>
      {profile.name && <code><Captured text={id} /></code>}
      {profile.email && <span><Captured text={profile.email} /></span>}
      {profile.company && <span>of <PersonLink kind={KINDS.companies} id={profile.company}><Captured text={profile.company} /></PersonLink></span>}
      <span className="muted">first seen {when(profile.first_seen)}, last seen {when(profile.last_seen)}</span>
    </p>
  );
}

function Activity({ q }: { q: string }) {
  const { range, change } = useView();
  const activity = useActivity(q, range);
  const now = useTotals(q, range, 0);
  const before = useTotals(q, range, -1);
  const data = useMemo(() => (activity.data ? histogramOf(activity.data) : null), [activity.data]);
  return (
    <section aria-label="Activity">
      {now.error && <ErrorNotice error={now.error} onRetry={() => void now.refetch()} busy={now.isFetching} />}
      {now.data && <Tiles now={now.data} before={range.from === "all" ? undefined : before.data} link={{ ...rangeSearch(range), q }} q={q} stale={now.isPlaceholderData} />}
      <div className={styles.chart}>{data && <Histogram data={data} onZoom={(from, to) => change(rangeSearch(absolute(from, to)))} />}</div>
    </section>
  );
}

const LATEST = 25;

function LatestCalls({ q }: { q: string }) {
  const { range } = useView();
  const { zone } = useSettings();
  const count = useRefreshCount();
  const { data, error, refetch } = useQuery({
    queryKey: ["people", "calls", q, range.from, range.to, zone, count],
    queryFn: ({ signal }) => listExchanges({ q, ...forApi(range, Date.now(), zone), limit: LATEST }, signal),
  });
  const link = { ...rangeSearch(range), q };
  return (
    <section className={styles.card} aria-label="Calls">
      <div className={styles.cardHead}>
        <h2>Calls</h2>
        {data && data.exchanges.length > 0 && <Link to="/traffic" search={link}>{data.total.value > LATEST ? `All ${formatTotal(data.total)} in Traffic` : "In Traffic"}</Link>}
      </div>
      {error && <ErrorNotice error={error} onRetry={() => void refetch()} />}
      {data && data.exchanges.length === 0 && <p className="muted">None in this time. <Link to="." search={{ from: "all" }}>Look at all time</Link></p>}
      {data && data.exchanges.length > 0 && (
        <table className={styles.calls}>
          <colgroup><col className={styles.timeColumn} /><col className={styles.statusColumn} /><col /><col className={styles.latencyColumn} /></colgroup>
          <thead className="visually-hidden"><tr><th scope="col">time</th><th scope="col">status</th><th scope="col">call</th><th scope="col">latency</th></tr></thead>
          <tbody>
            {data.exchanges.map((row) => (
              <tr key={row.id}>
                <td className="muted num">{formatInstant(Date.parse(row.start_time), zone, Date.now()).replace(/\.\d+$/, "")}</td>
                <td><Status status={row.status} error={row.error} /></td>
                <td className={styles.what}><Link to="/traffic" search={{ ...link, call: row.id }} className={styles.callLink}><Captured text={`${row.method} ${row.endpoint ?? row.path}`} /></Link></td>
                <td className={`${styles.right} num`}>{formatDuration(row.duration_ms)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

function Facts({ profile }: { profile: Profile }) {
  const { facts, more } = useMemo(() => factsOf(profile.properties), [profile]);
  return (
    <section className={styles.card} aria-label="Properties">
      <h2>Properties</h2>
      {facts.length === 0 && <p className="muted">Only the id is known.</p>}
      <dl className={styles.facts}>
        {facts.map((fact, index) => (
          <div key={index}>
            <dt><Captured text={fact.path} /></dt>
            <dd><Captured text={fact.value} /></dd>
          </div>
        ))}
        {profile.sessions.length > 0 && <div><dt>sessions</dt><dd>{profile.sessions.length}, the newest <Link to="/traffic" search={{ from: "all", q: filterText("session", profile.sessions.at(-1)!, false) }}>in Traffic</Link></dd></div>}
      </dl>
      {more && <p className="muted">There is more; the API has all of it.</p>}
    </section>
  );
}

/** Users of a company. */
function Members({ id }: { id: string }) {
  const members = usePeople(KINDS.users, "", id);
  const rows = useMemo(() => members.data?.pages.flatMap((page) => page.profiles) ?? [], [members.data]);
  if (rows.length === 0) return null;
  return (
    <section className={styles.section}>
      <h2>Users of this company</h2>
      <PeopleTable kind={KINDS.users} rows={rows} label="Users of this company" />
    </section>
  );
}

