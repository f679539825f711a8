import { Link } from "@tanstack/react-router";
import { useCallback, type ReactNode } from "react";
import { healthOf, markDropsSeen, newDrops, stateOf, sumOf, useLedger } from "../../api/ledger";
import type { Ledger, SourceLedger, TargetLedger } from "../../api/types";
import { useSettings } from "../../app/settings";
import { Button } from "../../components/Button";
import { Captured } from "../../components/Captured";
import { ErrorNotice } from "../../components/ErrorNotice";
import { Icon } from "../../components/Icon";
import { formatBytes, formatCount, formatShare } from "../../lib/numbers";
import { reasonText } from "../../lib/reasons";
import { formatAgo, formatFull } from "../../lib/time";
import styles from "./HealthPage.module.css";
import { targetAnchor } from "./TargetState";

/** The loss ledger: for every source and target, what was offered and where all of it is. */
export function HealthPage() {
  const { data, error, isFetching, refetch } = useLedger();
  return (
    <div className={styles.page}>
      <header className={styles.head}>
        <h1>Health</h1>
        <p className="muted">Every call that was offered is delivered, dropped with a reason, or held. The sums below are read from the counters and checked here.</p>
      </header>
      {error && <ErrorNotice error={error} onRetry={() => void refetch()} busy={isFetching} />}
      {data && <LedgerView ledger={data} stale={error !== null} />}
    </div>
  );
}

export function LedgerView({ ledger, stale }: { ledger: Ledger; stale: boolean }) {
  const { zone, seenDrops } = useSettings();
  const health = healthOf(ledger, null, seenDrops);
  const unseen = newDrops(ledger, seenDrops).length > 0;
  return (
    <div className={stale ? styles.stale : undefined}>
      <div className={`${styles.verdict} ${styles[health.level]}`} role="status">
        <Icon name={health.level === "good" ? "check" : "warn"} />
        <strong>{health.level === "good" ? "Everything offered is accounted for" : sentence(health.sentence)}</strong>
        <span className={styles.asOf} title={formatFull(Date.parse(ledger.as_of), zone)}>as of {formatAgo(Date.parse(ledger.as_of), Date.now())}</span>
        {unseen && <Button look="quiet" onClick={() => markDropsSeen(ledger)}>Mark as seen</Button>}
      </div>
      <Section title="Sources" about="where calls come from">
        {ledger.sources.length === 0 && <p className="muted">Nothing has been offered since weir was set up.</p>}
        {ledger.sources.map((source) => <SourceCard key={source.name} source={source} />)}
      </Section>
      <Section title="Targets" about="where they go">
        {ledger.targets.filter((target) => !target.removed).map((target) => <TargetCard key={target.name} target={target} />)}
      </Section>
      <Past targets={ledger.targets.filter((target) => target.removed)} />
      <Section title="Disk" about="what is kept here">
        <Disk ledger={ledger} />
      </Section>
    </div>
  );
}

/** Accounts of targets that are no longer set up: their sums stay. */
function Past({ targets }: { targets: TargetLedger[] }) {
  if (targets.length === 0) return null;
  return (
    <details className={styles.past}>
      <summary>{targets.length === 1 ? "One target" : `${targets.length} targets`} of the past</summary>
      <div className={styles.cards}>{targets.map((target) => <TargetCard key={target.name} target={target} />)}</div>
    </details>
  );
}

const sentence = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

function Section({ title, about, children }: { title: string; about: string; children: ReactNode }) {
  return (
    <section className={styles.section}>
      <h2>{title} <span className="muted">{about}</span></h2>
      <div className={styles.cards}>{children}</div>
    </section>
  );
}

type Term = { name: string; count: number; kind?: "loss" | "held" };

/** Whether a line of the ledger holds. */
function Verdict({ offered, terms }: { offered: number; terms: Term[] }) {
  const holds = terms.reduce((sum, term) => sum + term.count, 0) === offered;
  return (
    <span className={holds ? styles.holds : styles.broken}>
      <Icon name={holds ? "check" : "warn"} size={14} /> {holds ? "adds up" : "does not add up"}
    </span>
  );
}

/** `1,204 offered = 1,200 accepted + 4 dropped + 0 held`. */
function Sum({ offered, terms }: { offered: number; terms: Term[] }) {
  return (
    <div className={styles.sum}>
      <Figure count={offered} name="offered" />
      {terms.map((term, index) => (
        <span key={term.name} className={styles.term}>
          <span className={styles.operator}>{index === 0 ? "=" : "+"}</span>
          <Figure count={term.count} name={term.name} loss={term.kind === "loss" && term.count > 0} />
        </span>
      ))}
    </div>
  );
}

function Figure({ count, name, loss }: { count: number; name: string; loss?: boolean }) {
  return (
    <span className={loss ? `${styles.figure} ${styles.loss}` : styles.figure}>
      <strong className="num">{formatCount(count)}</strong> <span>{name}</span>
    </span>
  );
}

/** The same sum as a bar. */
function Bar({ offered, terms }: { offered: number; terms: Term[] }) {
  if (offered === 0) return null;
  return (
    <div className={styles.bar} aria-hidden="true">
      {terms.map((term) => term.count > 0 && <span key={term.name} className={styles[term.kind ?? "done"]} style={{ flexGrow: term.count, minWidth: 3 }} />)}
    </div>
  );
}

function Drops({ dropped, offered }: { dropped: Record<string, number>; offered: number }) {
  const entries = Object.entries(dropped).filter(([, count]) => count > 0).sort((a, b) => b[1] - a[1]);
  if (entries.length === 0) return <p className="muted">Nothing dropped.</p>;
  return (
    <ul className={styles.drops}>
      {entries.map(([reason, count]) => (
        <li key={reason}>
          <strong className="num">{formatCount(count)}</strong> dropped: {reasonText(reason)} <span className="muted">({formatShare(count / Math.max(1, offered))} of what was offered)</span>
        </li>
      ))}
    </ul>
  );
}

function SourceCard({ source }: { source: SourceLedger }) {
  const terms: Term[] = [{ name: "accepted", count: source.accepted }, { name: "dropped", count: sumOf(source.dropped), kind: "loss" }, { name: "held", count: source.held, kind: "held" }];
  return (
    <article className={styles.card}>
      <div className={styles.name}><h3><Captured text={source.name} /></h3><Verdict offered={source.offered} terms={terms} /></div>
      <Sum offered={source.offered} terms={terms} />
      <Bar offered={source.offered} terms={terms} />
      <Drops dropped={source.dropped} offered={source.offered} />
    </article>
  );
}

function TargetCard({ target }: { target: TargetLedger }) {
  const terms: Term[] = [{ name: "delivered", count: target.delivered }, { name: "dropped", count: sumOf(target.dropped), kind: "loss" }, { name: "held", count: target.held, kind: "held" }];
  const { zone } = useSettings();
  const ref = useArrival(targetAnchor(target.name));
  const plugin = pluginOf(target);
  const state = stateOf(target, Date.now());
  const when = (instant: string) => <span title={formatFull(Date.parse(instant), zone)}>{formatAgo(Date.parse(instant), Date.now())}</span>;
  return (
    <article className={styles.card} id={targetAnchor(target.name)} ref={ref} tabIndex={-1}>
      <div className={styles.name}>
        <h3><Captured text={plugin ? target.kind : target.name} /> {plugin === null && target.kind !== target.name && <span className="muted">{target.kind}</span>}{target.removed && <span className="muted"> no longer set up</span>}</h3>
        <Verdict offered={target.offered} terms={terms} />
      </div>
      {plugin && !target.removed && <p className="muted">asked for by a <Link to="/gateway/$collection/$id" params={{ collection: "plugins", id: plugin }}>gateway plugin</Link></p>}
      {!target.removed && <p className={styles[`state_${state.level}`]}><Icon name={state.level === "warn" ? "warn" : state.level === "good" ? "check" : "clock"} size={14} /> {state.sentence}</p>}
      <Sum offered={target.offered} terms={terms} />
      <Bar offered={target.offered} terms={terms} />
      <Drops dropped={target.dropped} offered={target.offered} />
      <dl className={styles.facts}>
        {!target.removed && <div><dt>queue</dt><dd className="num">{target.held === 0 ? "empty" : `${formatCount(target.held)} ${target.held === 1 ? "call" : "calls"}, ≈ ${formatBytes(target.held_bytes)}`}</dd></div>}
        {!target.removed && <div><dt>behind</dt><dd className="num">{target.lag_seconds < 1 ? "not at all" : `${formatCount(Math.round(target.lag_seconds))} s`}</dd></div>}
        <div><dt>retries</dt><dd className="num">{formatCount(target.retries)}</dd></div>
        {target.last_delivery && <div><dt>last delivery</dt><dd>{when(target.last_delivery)}</dd></div>}
        <div className={styles.wideFact}>
          <dt>last error</dt>
          <dd>{target.last_error ? <><Captured text={target.last_error.message} /> <span className="muted">{when(target.last_error.at)}{target.last_delivery && target.last_delivery > target.last_error.at && ", over since"}</span></> : "none since the start"}</dd>
        </div>
      </dl>
    </article>
  );
}

/** Targets of plugins are named by their kind and the id of the plugin's configuration. */
function pluginOf(target: TargetLedger): string | null {
  const id = target.name.startsWith(`${target.kind}:`) ? target.name.slice(target.kind.length + 1) : "";
  return /^[0-9a-f]{8}-[0-9a-f-]{27}$/.test(id) ? id : null;
}

/** Brings what a link points to into sight, once it is here. */
function useArrival(anchor: string) {
  return useCallback((element: HTMLElement | null) => {
    if (!element || decodeURIComponent(location.hash.slice(1)) !== anchor) return;
    element.scrollIntoView({ block: "center" });
    element.focus({ preventScroll: true });
  }, [anchor]);
}

function Disk({ ledger }: { ledger: Ledger }) {
  const { journal, store } = ledger;
  const now = Date.now();
  const ago = (instant: string | null) => (instant ? formatAgo(Date.parse(instant), now) : "none");
  const share = journal.max_bytes > 0 ? journal.bytes / journal.max_bytes : 0;
  return (
    <>
      <article className={styles.card}>
        <h3>Journal</h3>
        <p><strong className="num">{formatBytes(journal.bytes)}</strong> of {formatBytes(journal.max_bytes)}</p>
        <div className={styles.meter} role="meter" aria-label="Journal" aria-valuenow={Math.round(share * 100)} aria-valuemin={0} aria-valuemax={100}><span style={{ width: `${Math.min(100, share * 100)}%` }} className={share > 0.8 ? styles.full : undefined} /></div>
        <dl className={styles.facts}><div><dt>oldest record</dt><dd>{ago(journal.oldest)}</dd></div></dl>
      </article>
      <article className={styles.card}>
        <h3>Store</h3>
        <p><strong className="num">{formatCount(store.exchanges)}</strong> calls in <strong className="num">{formatBytes(store.bytes)}</strong>{store.exchanges > 0 && <span className="muted"> ({formatBytes(Math.round(store.bytes / store.exchanges))} each)</span>}</p>
        <dl className={styles.facts}>
          <div><dt>not yet committed</dt><dd className="num">{formatCount(store.uncommitted)}</dd></div>
          <div><dt>oldest call</dt><dd>{ago(store.oldest)}</dd></div>
          <div><dt>newest call</dt><dd>{ago(store.newest)}</dd></div>
        </dl>
      </article>
    </>
  );
}
