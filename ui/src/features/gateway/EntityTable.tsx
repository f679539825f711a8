import { Link } from "@tanstack/react-router";
import { useMemo, useState, type ReactNode } from "react";
import type { Entity } from "../../api/admin";
import { useLedger } from "../../api/ledger";
import { Button } from "../../components/Button";
import { Captured, capturedTitle } from "../../components/Captured";
import { CopyButton } from "../../components/Command";
import { TargetState } from "../health/TargetState";
import { addressOf, bySchema, conditionsOf, idOf, nameOf, text, texts, type Collection } from "./collections";
import { DeleteDialog } from "./DeleteDialog";
import styles from "./Gateway.module.css";
import { useEntities, useSwitch } from "./use-admin";

type Column = { title: string; wide?: boolean; show(entity: Entity): ReactNode };

/** Rows shown before the reader asks for more. */
const STEP = 200;

/** Entities of one collection; `parent` leaves out the column that would say the same in each row. */
export function EntityTable({ collection, entities, readOnly, label, parent }: { collection: Collection; entities: Entity[]; readOnly: boolean; label: string; parent?: string }) {
  const [most, setMost] = useState(STEP);
  const [doomed, setDoomed] = useState<Entity | null>(null);
  const columns = useColumns(collection.path, readOnly, parent);
  return (
    <>
      <div className={styles.scroll}>
        <table className={styles.table} aria-label={label}>
          <thead>
            <tr>
              {columns.map((column) => <th key={column.title} scope="col" className={column.wide ? styles.wide : undefined}>{column.title}</th>)}
              {!readOnly && <th scope="col"><span className="visually-hidden">Actions</span></th>}
            </tr>
          </thead>
          <tbody>
            {entities.slice(0, most).map((entity) => (
              <tr key={entity.id} className={entity.enabled === false ? styles.off : undefined}>
                {columns.map((column) => <td key={column.title} className={column.wide ? styles.wide : undefined}>{column.show(entity)}</td>)}
                {!readOnly && <td className={styles.end}><Button look="quiet" icon="trash" label={`Delete ${capturedTitle(nameOf(collection.schema, entity))}`} onClick={() => setDoomed(entity)} /></td>}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {entities.length > most && <Button onClick={() => setMost(most + STEP)}>Show {Math.min(STEP, entities.length - most)} more of {entities.length - most}</Button>}
      <DeleteDialog collection={collection} entity={doomed} onClose={() => setDoomed(null)} />
    </>
  );
}

export function EntityLink({ schema, entity, id }: { schema: string; entity?: Entity; id: string }) {
  const collection = bySchema(schema);
  const name = entity ? nameOf(schema, entity) : id.slice(0, 8);
  if (!collection) return <Captured text={name} />;
  return <Link to="/gateway/$collection/$id" params={{ collection: collection.path, id }} className={styles.link}><Captured text={name} /></Link>;
}

function useColumns(path: string, readOnly: boolean, parent?: string): Column[] {
  const services = useEntities("services", path === "routes" || path === "plugins").data?.entities;
  const routes = useEntities("routes", path === "services" || path === "plugins").data?.entities;
  const consumers = useEntities("consumers", path === "plugins").data?.entities;
  const plugins = useEntities("plugins", ["services", "routes", "consumers"].includes(path)).data?.entities;
  const keys = useEntities("key-auths", path === "consumers").data?.entities;
  const targets = useEntities("targets", path === "upstreams").data?.entities;
  return useMemo(() => {
    const one = (schema: string): Column => ({ title: "Name", show: (entity) => <EntityLink schema={schema} entity={entity} id={entity.id} /> });
    const count = (title: string, children: Entity[] | undefined, field: string): Column => ({ title, show: (entity) => <Count children={children} field={field} id={entity.id} /> });
    const pluginsOf = (field: string): Column => ({ title: "Plugins", wide: true, show: (entity) => <Names entities={plugins?.filter((plugin) => idOf(plugin[field]) === entity.id)} /> });
    const reference = (title: string, schema: string, field: string, all: Entity[] | undefined): Column => ({ title, show: (entity) => <Reference schema={schema} id={idOf(entity[field])} all={all} /> });
    const columns: Record<string, Column[]> = {
      services: [one("services"), { title: "Sends calls to", show: (entity) => <code className={styles.address}><Captured text={addressOf(entity)} /></code> }, count("Routes", routes, "service"), pluginsOf("service"), { title: "On", show: (entity) => <Switch collection="services" entity={entity} readOnly={readOnly} /> }],
      routes: [one("routes"), { title: "Takes", show: (entity) => <Conditions entity={entity} /> }, ...(parent === "service" ? [] : [reference("Service", "services", "service", services)]), pluginsOf("route")],
      consumers: [one("consumers"), { title: "Custom id", wide: true, show: (entity) => <Captured text={text(entity.custom_id)} /> }, count("Keys", keys, "consumer"), pluginsOf("consumer")],
      plugins: [one("plugins"), ...(parent ? [] : [{ title: "Runs for", show: (entity: Entity) => <Scope entity={entity} services={services} routes={routes} consumers={consumers} /> }]), { title: "Delivers", show: (entity) => <Delivery plugin={entity} /> }, { title: "On", show: (entity) => <Switch collection="plugins" entity={entity} readOnly={readOnly} /> }],
      upstreams: [one("upstreams"), count("Targets", targets, "upstream"), { title: "Algorithm", wide: true, show: (entity) => text(entity.algorithm) }],
      "key-auths": [{ title: "Key", show: (entity) => <Key text={text(entity.key)} /> }, { title: "Ends", show: (entity) => (typeof entity.ttl === "number" && entity.ttl > 0 ? `${entity.ttl} s after it was made` : "never") }, { title: "Made", wide: true, show: (entity) => (typeof entity.created_at === "number" ? new Date(entity.created_at * 1000).toISOString().slice(0, 16).replace("T", " ") : "") }],
      targets: [{ title: "Target", show: (entity) => <EntityLink schema="targets" entity={entity} id={entity.id} /> }, { title: "Weight", show: (entity) => <span className="num">{text(entity.weight)}</span> }],
    };
    return columns[path] ?? [one(path)];
  }, [path, parent, readOnly, services, routes, consumers, plugins, keys, targets]);
}

function Count({ children, field, id }: { children: Entity[] | undefined; field: string; id: string }) {
  if (!children) return null;
  const count = children.filter((child) => idOf(child[field]) === id).length;
  return <span className={count === 0 ? "muted num" : "num"}>{count === 0 ? "none" : count}</span>;
}

function Names({ entities }: { entities: Entity[] | undefined }) {
  if (!entities || entities.length === 0) return null;
  const names = [...new Set(entities.map((entity) => text(entity.name)))];
  return <span className={styles.names}>{names.map((name) => <span key={name} className={styles.chip}>{name}</span>)}</span>;
}

function Reference({ schema, id, all }: { schema: string; id: string | null; all: Entity[] | undefined }) {
  if (id === null) return <span className="muted">none</span>;
  return <EntityLink schema={schema} id={id} entity={all?.find((one) => one.id === id)} />;
}

/** Shown before the list of conditions is cut. */
const FEW = 4;

function Conditions({ entity }: { entity: Entity }) {
  const all = conditionsOf(entity);
  const only = texts(entity.protocols);
  return (
    <span className={styles.names}>
      {all.slice(0, FEW).map((condition, index) => <code key={index} className={styles.chip}><Captured text={condition} /></code>)}
      {all.length > FEW && <span className="muted">and {all.length - FEW} more</span>}
      {only.length === 1 && <span className="muted">{only[0]} only</span>}
    </span>
  );
}

function Scope({ entity, services, routes, consumers }: { entity: Entity } & Record<"services" | "routes" | "consumers", Entity[] | undefined>) {
  const parts = ([["service", "services", services], ["route", "routes", routes], ["consumer", "consumers", consumers]] as const).flatMap(([field, schema, all]) => {
    const id = idOf(entity[field]);
    return id === null ? [] : [<span key={field}>{field} <EntityLink schema={schema} id={id} entity={all?.find((one) => one.id === id)} /></span>];
  });
  return parts.length === 0 ? <span className="muted">all calls</span> : <span className={styles.names}>{parts}</span>;
}

/** The account of the target behind a plugin, when it has one. */
function Delivery({ plugin }: { plugin: Entity }) {
  const { data } = useLedger();
  const target = data?.targets.find((one) => !one.removed && one.name.endsWith(`:${plugin.id}`));
  return target ? <TargetState target={target} /> : null;
}

function Switch({ collection, entity, readOnly }: { collection: string; entity: Entity; readOnly: boolean }) {
  const change = useSwitch(collection);
  const on = entity.enabled === true;
  return (
    <button type="button" role="switch" aria-checked={on} aria-label={`${capturedTitle(nameOf(collection, entity))} is on`} className={styles.switch} disabled={readOnly} data-busy={change.isPending || undefined} onClick={() => change.mutate({ id: entity.id, changes: { enabled: !on } })}>
      <span aria-hidden="true" />
    </button>
  );
}

/** A credential: not on the screen unless asked for. */
function Key({ text: key }: { text: string }) {
  const [shown, setShown] = useState(false);
  return (
    <span className={styles.key}>
      <code>{shown ? <Captured text={key} /> : `••••••••${key.length > 16 ? key.slice(-4) : ""}`}</code>
      <Button look="quiet" aria-pressed={shown} onClick={() => setShown(!shown)}>{shown ? "Hide" : "Show"}</Button>
      <CopyButton text={key} label="Copy the key" />
    </span>
  );
}
