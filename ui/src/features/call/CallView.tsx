import * as Tabs from "@radix-ui/react-tabs";
import * as Menu from "@radix-ui/react-dropdown-menu";
import { useRef, useState, type MouseEvent, type ReactNode } from "react";
import type { BodySide } from "../../api/client";
import type { ExchangeDetail, Header } from "../../api/types";
import { useSettings } from "../../app/settings";
import { Button } from "../../components/Button";
import { Captured } from "../../components/Captured";
import { Icon } from "../../components/Icon";
import menu from "../../components/Menu.module.css";
import { Status } from "../../components/Status";
import { formatBytes, formatDuration } from "../../lib/numbers";
import { formatFull, formatInstant } from "../../lib/time";
import { useWidth } from "../../lib/use-size";
import { copyCurl, copyLink, saveHar } from "../traffic/row-actions";
import { withoutPort } from "../traffic/columns";
import { BodyView } from "./BodyView";
import { queryParameters } from "./body-data";
import styles from "./CallView.module.css";
import type { TreeFilter } from "./JsonTree";
import { Waterfall } from "./Waterfall";

type Props = { call: ExchangeDetail; onFilter: TreeFilter; /** Buttons at the end of the head. */ controls?: ReactNode; heading: "h1" | "h2" };

/** Everything about one call. Side by side where there is room, else one after the other behind tabs. */
export function CallView({ call, onFilter, controls, heading: Heading }: Props) {
  const root = useRef<HTMLElement>(null);
  const width = useWidth(root);
  const { zone } = useSettings();
  const { request, response } = call;
  const started = Date.parse(call.start_time);
  const requestSide = <Message side="request" call={call} onFilter={onFilter} />;
  const responseSide = response ? <Message side="response" call={call} onFilter={onFilter} /> : <NoAnswer call={call} />;
  return (
    <article ref={root} className={styles.call} aria-label={`Call ${request.method} ${request.path}`}>
      <header className={styles.head}>
        <div className={styles.title}>
          <Heading className={styles.heading}><span className={styles.method}><Captured text={request.method} /></span> <Captured text={call.operation?.template || request.path} /></Heading>
          {controls}
        </div>
        <p className={styles.line}>
          <Status status={response?.status ?? null} error={call.error} />
          {response?.reason && <span className="muted"><Captured text={response.reason} /></span>}
          <strong className="num">{formatDuration(call.duration_ms)}</strong>
          <span className="num muted" title={formatFull(started, zone)}>{formatInstant(started, zone, Date.now())}</span>
          {call.weight !== 1 && <span className="muted">stands for {call.weight} calls</span>}
        </p>
        <p className={styles.url}><Captured text={request.url} /></p>
        {call.error && <p className={styles.failure}><Icon name="warn" size={14} /><Captured text={call.error} /></p>}
        {call.operation?.error && <p className={styles.failure}><Icon name="warn" size={14} />the answer reports an error: <Captured text={call.operation.error} /></p>}
        <Facts call={call} onFilter={onFilter} />
        {call.findings.length > 0 && (
          <ul className={styles.findings}>
            {call.findings.map((finding, at) => <li key={at}><strong>{finding.severity}</strong> <Captured text={finding.kind} /> in {finding.location}: <code><Captured text={finding.evidence} /></code></li>)}
          </ul>
        )}
        <Waterfall timings={call.timings} duration={call.duration_ms} />
        <Actions call={call} />
      </header>
      {width >= 720 ? (
        <div className={styles.sides}>
          <section aria-label="Request"><h3>Request</h3>{requestSide}</section>
          <section aria-label="Response"><h3>Response</h3>{responseSide}</section>
        </div>
      ) : (
        <Tabs.Root defaultValue="response" className={styles.tabs}>
          <Tabs.List aria-label="Request and response" className={styles.tabList}>
            <Tabs.Trigger value="request">Request</Tabs.Trigger>
            <Tabs.Trigger value="response">Response</Tabs.Trigger>
          </Tabs.List>
          <Tabs.Content value="request">{requestSide}</Tabs.Content>
          <Tabs.Content value="response">{responseSide}</Tabs.Content>
        </Tabs.Root>
      )}
    </article>
  );
}

function Actions({ call }: { call: ExchangeDetail }) {
  return (
    <div className={styles.actions}>
      <Button icon="copy" onClick={() => void copyCurl(call.id, "posix")} title="Copy as cURL (c)">Copy as cURL</Button>
      <Menu.Root>
        <Menu.Trigger asChild><Button icon="down" label="Other ways to copy" /></Menu.Trigger>
        <Menu.Portal>
          <Menu.Content className={menu.menu} align="start" collisionPadding={8}>
            <Menu.Item className={menu.item} onSelect={() => void copyCurl(call.id, "cmd")}>cURL for cmd.exe</Menu.Item>
            <Menu.Item className={menu.item} onSelect={() => void copyCurl(call.id, "powershell")}>PowerShell</Menu.Item>
            <Menu.Item className={menu.item} onSelect={() => void copyCurl(call.id, "posix", true)}>cURL with the credentials as captured</Menu.Item>
          </Menu.Content>
        </Menu.Portal>
      </Menu.Root>
      <Button icon="download" onClick={() => saveHar(call.id)} title="Save as HAR (h)">HAR</Button>
      <Button icon="link" onClick={() => void copyLink()} title="Copy link (y)">Copy link</Button>
    </div>
  );
}

/** Who, where and through what; each is a filter. */
function Facts({ call, onFilter }: { call: ExchangeDetail; onFilter: TreeFilter }) {
  const { consumer, identity } = call;
  const facts: [string, string, string | null | undefined][] = [
    ["user", "user", identity.user], ["company", "company", identity.company], ["consumer", "consumer", consumer?.username ?? consumer?.id],
    ["session", "session", identity.session], ["client", "client", call.client.address], ["host", "host", withoutPort(call.request.host)], ["service", "service", call.service],
    ["route", "route", call.route], ["operation", "operation", call.operation?.name], ["protocol", "protocol", call.operation?.protocol === "rest" ? null : call.operation?.protocol],
    ["source", "source", call.origin.source], ["node", "node", call.origin.node], ["environment", "environment", call.origin.environment],
  ];
  return (
    <ul className={styles.facts}>
      {facts.map(([name, field, value]) =>
        value ? (
          <li key={name}>
            <span className="muted">{name}</span>
            <button type="button" onClick={(event) => onFilter(field, value, event.altKey)} title="Click: only these; Alt-click: without these"><Captured text={value} /></button>
          </li>
        ) : null,
      )}
      {call.attributes.map(({ name, value }) => (
        <li key={name}><span className="muted"><Captured text={name} /></span> <Attribute name={name} value={value} onFilter={onFilter} /></li>
      ))}
    </ul>
  );
}

/** A value, or each of a list, is a filter; a document is shown as it is. */
function Attribute({ name, value, onFilter }: { name: string; value: unknown; onFilter: TreeFilter }) {
  const values = Array.isArray(value) ? value : [value];
  const askable = /^[\w.\-]+$/.test(name) && values.length > 0 && values.every((one) => ["string", "number", "boolean"].includes(typeof one) && one !== "");
  if (!askable) return <Captured text={typeof value === "string" ? value : JSON.stringify(value)} />;
  return values.map((one: string | number | boolean, at) => (
    <button key={at} type="button" onClick={(event) => onFilter(`attribute.${name}`, String(one), event.altKey)} title="Click: only these; Alt-click: without these"><Captured text={String(one)} /></button>
  ));
}

function NoAnswer({ call }: { call: ExchangeDetail }) {
  return <p className={styles.nothing}>There was no answer{call.error ? <>: <Captured text={call.error} /></> : ""}.</p>;
}

/** One side: headers, query parameters, body. */
function Message({ side, call, onFilter }: { side: BodySide; call: ExchangeDetail; onFilter: TreeFilter }) {
  const message = side === "request" ? call.request : call.response!;
  const parameters = side === "request" && call.request.query ? queryParameters(call.request.query) : [];
  return (
    <div className={styles.message}>
      <Part title="Headers" count={message.headers.length} about={message.headers_size ? formatBytes(message.headers_size) : message.version && `HTTP/${message.version.replace(/^HTTP\//, "")}`} open={message.headers.length <= 14}>
        <HeaderTable headers={message.headers} family={`${side}.header`} onFilter={onFilter} />
      </Part>
      {parameters.length > 0 && (
        <Part title="Query" count={parameters.length} open>
          <HeaderTable headers={parameters} family="request.query" onFilter={onFilter} />
        </Part>
      )}
      {message.trailers.length > 0 && (
        <Part title="Trailers" count={message.trailers.length} open>
          <HeaderTable headers={message.trailers} family="" onFilter={onFilter} />
        </Part>
      )}
      <Part title="Body" open><BodyView key={`${call.id}-${side}`} id={call.id} side={side} body={message.body} onFilter={onFilter} /></Part>
    </div>
  );
}

function Part({ title, count, about, open, children }: { title: string; count?: number; about?: string; open: boolean; children: ReactNode }) {
  const [shown, setShown] = useState(open);
  return (
    <section className={styles.part}>
      <h4>
        <button type="button" aria-expanded={shown} onClick={() => setShown(!shown)}>
          <Icon name={shown ? "down" : "right"} size={11} /> {title} {count !== undefined && <span className="muted num">{count}</span>}
          {about && <span className={styles.about}>{about}</span>}
        </button>
      </h4>
      {shown && children}
    </section>
  );
}

function HeaderTable({ headers, family, onFilter }: { headers: Header[]; family: string; onFilter: TreeFilter }) {
  if (headers.length === 0) return <p className={styles.nothing}>none</p>;
  return (
    <table className={styles.headers}>
      <tbody>
        {headers.map((header, at) => {
          const askable = family !== "" && /^[\w.\-]+$/.test(header.name);
          const ask = (event: MouseEvent) => onFilter(`${family}.${family === "request.query" ? header.name : header.name.toLowerCase()}`, header.value, event.altKey);
          return (
            <tr key={at}>
              <th scope="row">{askable ? <button type="button" onClick={ask} title="Click: only calls with this value; Alt-click: without"><Captured text={header.name} /></button> : <Captured text={header.name} />}</th>
              <td><Captured text={header.value} /></td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}
