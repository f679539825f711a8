import * as Tabs from "@radix-ui/react-tabs";
import { Link, useNavigate } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import { useSetup } from "../../api/ledger";
import type { ExchangeRow, Setup } from "../../api/types";
import { Captured } from "../../components/Captured";
import { Command } from "../../components/Command";
import { ErrorNotice } from "../../components/ErrorNotice";
import { Icon } from "../../components/Icon";
import { Status } from "../../components/Status";
import { formatCount, formatDuration } from "../../lib/numbers";
import { addressesFor, gatewayCommands, senders } from "./commands";
import { ImportFiles } from "./ImportFiles";
import styles from "./StartPage.module.css";

/** Three ways to send traffic here, with lines to paste that hold the real addresses. */
export function StartPage() {
  const setup = useSetup();
  return (
    <div className={styles.page}>
      <header className={styles.head}>
        <h1>{setup.data?.exchanges === 0 ? "Send the first call" : "Send traffic to weir"}</h1>
        <p className="muted">Pick the way that fits. Calls show up here a moment after they happen.</p>
      </header>
      {setup.error && <ErrorNotice error={setup.error} onRetry={() => void setup.refetch()} />}
      {setup.data && <Waiting setup={setup.data} />}
      {setup.data && <Ways setup={setup.data} onImported={() => void setup.refetch()} />}
    </div>
  );
}

/** «Waiting for the first call…»; turns green by itself and opens the call. */
function Waiting({ setup }: { setup: Setup }) {
  const navigate = useNavigate();
  const waited = useRef(setup.exchanges === 0);
  const first = setup.first_exchange;
  useEffect(() => {
    if (!waited.current || setup.exchanges === 0 || !first) return;
    // Long enough to see it turn green.
    const timer = setTimeout(() => void navigate({ to: "/traffic", search: { from: "all", call: first.id } }), 1600);
    return () => clearTimeout(timer);
  }, [setup.exchanges, first, navigate]);
  if (setup.exchanges === 0) {
    return (
      <div className={styles.waiting} role="status">
        <span className={styles.pulse} aria-hidden="true" />
        Waiting for the first call…
      </div>
    );
  }
  return (
    <div className={`${styles.waiting} ${styles.arrived}`} role="status">
      <Icon name="check" />
      {waited.current && first ? <FirstCall row={first} /> : <span>{formatCount(setup.exchanges)} calls are here already.</span>}
      <Link to="/traffic" search={waited.current && first ? { from: "all", call: first.id } : {}}>{waited.current ? "Open it" : "See the traffic"}</Link>
    </div>
  );
}

function FirstCall({ row }: { row: ExchangeRow }) {
  return (
    <span className={styles.first}>
      The first call is here: <strong><Captured text={`${row.method} ${row.path}`} /></strong> <Status status={row.status} /> <span className="num">{formatDuration(row.duration_ms)}</span>
    </span>
  );
}

function Ways({ setup, onImported }: { setup: Setup; onImported(): void }) {
  const addresses = addressesFor(setup.addresses, location);
  const [upstream, setUpstream] = useState("http://localhost:3000");
  const token = setup.token ?? "my-token";
  const gateway = setup.addresses.proxy !== null && setup.addresses.admin !== null;
  return (
    <Tabs.Root defaultValue={gateway ? "gateway" : "sender"} className={styles.tabs}>
      <Tabs.List className={styles.list} aria-label="Ways in">
        {gateway && <Tabs.Trigger value="gateway"><strong>Through the gateway</strong><span>your API behind weir, nothing to install</span></Tabs.Trigger>}
        <Tabs.Trigger value="sender"><strong>From a plugin or SDK</strong><span>change the host name, keep the rest</span></Tabs.Trigger>
        <Tabs.Trigger value="file"><strong>From a file</strong><span>HAR or access log, right now</span></Tabs.Trigger>
      </Tabs.List>
      {gateway && (
        <Tabs.Content value="gateway" className={styles.panel}>
          <label className={styles.upstream}>
            <span>Where is your API?</span>
            <input value={upstream} onChange={(event) => setUpstream(event.target.value)} spellCheck={false} autoComplete="off" />
          </label>
          <ol className={styles.steps}>
            {gatewayCommands(addresses, upstream).map((step) => (
              <li key={step.title}>
                <h2>{step.title}</h2>
                <Command text={step.text} name={step.title} />
              </li>
            ))}
          </ol>
          <p className="muted">No API at hand? <code>make demo</code> in weir’s folder starts a sample one and sends realistic calls through the gateway.</p>
        </Tabs.Content>
      )}
      <Tabs.Content value="sender" className={styles.panel}>
        <p className="muted">
          Whatever reports to Galileo, Moesif, Runscope or a Tyk pump today reports to weir when its host is <code>{addresses.server}</code>.
          {setup.token === null && " Any token is taken until tokens are set up; put yours in place of my-token."}
        </p>
        {senders(addresses, token).map((sender) => (
          <section key={sender.key} className={styles.sender}>
            <h2>{sender.name} <span className="muted">{sender.about}</span></h2>
            <Command text={sender.text} name={sender.name} />
          </section>
        ))}
      </Tabs.Content>
      <Tabs.Content value="file" className={styles.panel}>
        <ImportFiles onImported={onImported} />
        <h2>Or from a terminal</h2>
        <Command text={"weir import access.log"} name="Import a file" />
        <p className="muted">Reads HAR, combined and common logs and JSON lines of any size, and says which lines it could not read.</p>
      </Tabs.Content>
    </Tabs.Root>
  );
}
