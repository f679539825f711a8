import { Link, useLocation } from "@tanstack/react-router";
import { useMemo, useRef, useState, type ReactNode } from "react";
import { useKeys } from "../../app/keys";
import { useSettings } from "../../app/settings";
import { rangeSearch, useView } from "../../app/view";
import { Button } from "../../components/Button";
import { Captured } from "../../components/Captured";
import { ErrorNotice } from "../../components/ErrorNotice";
import { Notice } from "../../components/Notice";
import { formatCount, formatDuration, formatShare } from "../../lib/numbers";
import { useSettled } from "../../lib/use-settled";
import { describeRange, formatAgo, formatFull, type TimeRange } from "../../lib/time";
import { BreakdownPage, CutTabs } from "../breakdown/BreakdownPage";
import { cutOf, SCREENS, type Cut } from "../breakdown/cuts";
import { KINDS, useFigures, useIds, usePeople, type Figures, type Kind } from "./people";
import styles from "./People.module.css";

/** Who calls: those that reporters described, then those that only the traffic names. */
export function PeoplePage() {
  const path = useLocation({ select: (location) => location.pathname.split("/")[1] });
  const kind = path === "companies" ? KINDS.companies : KINDS.users;
  return (
    <div className={styles.page}>
      <PeopleTabs current={kind} />
      <People key={kind.path} kind={kind} />
    </div>
  );
}

/** Users and companies, and the other ways to tell callers apart. */
export function PeopleTabs({ current, cut = null }: { current: Kind | null; cut?: Cut | null }) {
  const { range } = useView();
  return (
    <CutTabs screen={SCREENS.callers} current={cut}>
      {Object.values(KINDS).map((kind) => <Link key={kind.path} to={`/${kind.path}`} search={rangeSearch(range)} className={styles.tab} aria-current={kind === current ? "page" : undefined}>{kind.title}</Link>)}
    </CutTabs>
  );
}

/** Callers by key, client, consumer, address: what only the traffic knows. */
export function CallersPage() {
  const { search } = useView();
  return <BreakdownPage tabs={<PeopleTabs current={null} cut={cutOf(SCREENS.callers, search.by)} />} />;
}

function People({ kind }: { kind: Kind }) {
  const { search, change } = useView();
  const [find, setFind] = useState(search.find ?? "");
  const wanted = useSettled(find.trim());
  const field = useRef<HTMLInputElement>(null);
  useKeys({ "/": () => field.current?.focus() });
  const people = usePeople(kind, wanted);
  const ids = useIds(kind, wanted);
  const described = useMemo(() => people.data?.pages.flatMap((page) => page.profiles) ?? [], [people.data]);
  const known = new Set(described.map((one) => one.id));
  const bare = (wanted === "" ? (people.data?.pages[0]?.without_profile ?? []).map((one) => one.id) : (ids.data ?? [])).filter((id) => !known.has(id));
  const nobody = people.data !== undefined && described.length === 0 && bare.length === 0 && !ids.isFetching && !people.isPlaceholderData;
  return (
    <>
      <header className={styles.head}>
        <h1>{kind.title}</h1>
        <input ref={field} type="search" className={styles.find} aria-label={`Search ${kind.title.toLowerCase()}`} placeholder="Id, name, e-mail, any property" value={find} onChange={(event) => { setFind(event.target.value); change({ find: event.target.value || undefined }, { replace: true }); }} />
      </header>
      {people.error && <ErrorNotice error={people.error} onRetry={() => void people.refetch()} busy={people.isFetching} />}
      {nobody && (wanted === "" ? (
        <Notice title={`No ${kind.title.toLowerCase()} yet`}><p>{kind.one === "user" ? "A user is known from what calls say: a consumer of the gateway, a header, a token, or a library that reports users." : "A company is known from what calls say, or from a library that reports companies."}</p></Notice>
      ) : (
        <Notice title={`No ${kind.one} has «${wanted}» in it`}><Button onClick={() => { setFind(""); change({ find: undefined }, { replace: true }); }}>Show all</Button></Notice>
      ))}
      {described.length > 0 && <PeopleTable kind={kind} rows={described} label={kind.title} />}
      {people.hasNextPage && <Button onClick={() => void people.fetchNextPage()} disabled={people.isFetchingNextPage}>{people.isFetchingNextPage ? "Reading…" : "Show more"}</Button>}
      {bare.length > 0 && (
        <section className={styles.section}>
          <h2>{described.length > 0 ? "Only in the traffic" : "In the traffic"} <span className="muted">no reporter said more than the id</span></h2>
          <PeopleTable kind={kind} rows={bare.map((id) => ({ id }))} label={`${kind.title} without a profile`} />
        </section>
      )}
    </>
  );
}

export type Person = { id: string; name?: string | null; email?: string | null; company?: string | null; last_seen?: string };

export function PeopleTable({ kind, rows, label }: { kind: Kind; rows: Person[]; label: string }) {
  const { range } = useView();
  const { zone } = useSettings();
  const ids = useMemo(() => rows.map((row) => row.id), [rows]);
  const figures = useFigures(kind, ids, range);
  const described = rows.some((row) => row.last_seen !== undefined);
  const companies = kind.one === "user" && rows.some((row) => row.company);
  const now = Date.now();
  return (
    <div className={styles.scroll}>
      <table className={styles.table} aria-label={label}>
        <thead>
          <tr>
            <th scope="col">{kind.one}</th>
            {companies && <th scope="col" className={styles.optional}>company</th>}
            <th scope="col" className={styles.right}>calls<span className={styles.optional}>, {rangeWords(range)}</span></th>
            <th scope="col" className={styles.right}>failed</th>
            <th scope="col" className={`${styles.right} ${styles.optional}`}>p95</th>
            {described && <th scope="col" className={styles.right}>last seen</th>}
          </tr>
        </thead>
        <tbody className={figures.isPlaceholderData ? styles.stale : undefined}>
          {rows.map((row) => {
            const own: Figures | undefined = figures.data?.get(row.id);
            return (
              <tr key={row.id}>
                <td><PersonLink kind={kind} id={row.id}><Captured text={row.name || row.id} /></PersonLink>{(row.email ?? (row.name ? row.id : null)) && <span className={styles.more}><Captured text={row.email ?? row.id} /></span>}</td>
                {companies && <td className={styles.optional}>{row.company && <PersonLink kind={KINDS.companies} id={row.company}><Captured text={row.company} /></PersonLink>}</td>}
                <td className={styles.right}>{figures.data ? formatCount(own?.count ?? 0) : ""}</td>
                <td className={`${styles.right} ${own?.errors && own.errors > 0.01 ? styles.bad : "muted"}`}>{own?.errors === null || own === undefined ? "–" : formatShare(own.errors)}</td>
                <td className={`${styles.right} ${styles.optional}`}>{formatDuration(own?.p95 ?? null)}</td>
                {described && <td className={styles.right}>{row.last_seen && <span title={formatFull(Date.parse(row.last_seen), zone)}>{formatAgo(Date.parse(row.last_seen), now)}</span>}</td>}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function rangeWords(range: TimeRange): string {
  const words = describeRange(range, Date.now(), "UTC");
  return /^(Last|All|Today|Yesterday)/.test(words) ? words.toLowerCase() : "in the range";
}

export function PersonLink({ kind, id, children }: { kind: Kind; id: string; children: ReactNode }) {
  const { range } = useView();
  return <Link to={`/${kind.path}/$id`} params={{ id }} search={rangeSearch(range)} className={styles.link}>{children}</Link>;
}
