import { Link, useBlocker, useNavigate, useParams } from "@tanstack/react-router";
import { useEffect, useMemo, useRef, useState, type FormEvent, type ReactNode } from "react";
import { AdminError, type Entity, type Json, type Mistakes } from "../../api/admin";
import { useSetup } from "../../api/ledger";
import { useKeys } from "../../app/keys";
import { useView } from "../../app/view";
import { Button } from "../../components/Button";
import { Captured } from "../../components/Captured";
import { Command } from "../../components/Command";
import { ErrorNotice } from "../../components/ErrorNotice";
import { Modal } from "../../components/Modal";
import { Notice } from "../../components/Notice";
import { toast } from "../../components/Toasts";
import { addressesFor } from "../start/commands";
import { callOf, collectionOf, idOf, nameOf, text, type Collection } from "./collections";
import { DeleteDialog } from "./DeleteDialog";
import { changes, lines, tidy, toRecord, unsendable, type RecordDraft } from "./draft";
import { EntityLink, EntityTable } from "./EntityTable";
import styles from "./Gateway.module.css";
import { GatewayFrame } from "./GatewayFrame";
import { PluginPicker } from "./PluginPicker";
import type { Field } from "./schema";
import { MistakeList, SchemaForm } from "./SchemaForm";
import { useEntities, useEntity, useFields, useGateway, useSave } from "./use-admin";

/** One entity with its form, or the form for a new one. */
export function EntityPage() {
  const { collection: path, id } = useParams({ strict: false }) as { collection: string; id: string };
  const collection = collectionOf(path);
  if (!collection) return <Notice title="There is no such collection"><Link to="/gateway">To the gateway</Link></Notice>;
  const tab = collection.inner ? (path === "targets" ? "upstreams" : "consumers") : path;
  return <GatewayFrame current={tab}>{(readOnly) => (id === "new" ? <NewPage key={path} collection={collection} readOnly={readOnly} /> : <OnePage key={id} collection={collection} id={id} readOnly={readOnly} />)}</GatewayFrame>;
}

/** What a new one belongs to, as the link says: `service:` and its id. */
export function readParent(of: string | undefined): { field: string; id: string } | null {
  const [, field, id] = /^([a-z_]+):([\w-]+)$/.exec(of ?? "") ?? [];
  return field !== undefined && id !== undefined ? { field, id } : null;
}

function NewPage({ collection, readOnly }: { collection: Collection; readOnly: boolean }) {
  const { search } = useView();
  const parent = readParent(search.of);
  const plugin = collection.path === "plugins" ? search.plugin : undefined;
  const choosing = collection.path === "plugins" && plugin === undefined;
  const fields = useFields(collection.schema, plugin);
  if (readOnly) return <Notice title="Nothing can be added here">A file configures this gateway.</Notice>;
  return (
    <>
      <header className={styles.head}>
        <div>
          <Crumbs collection={collection} parent={parent} />
          <h1>New {plugin && <><Captured text={plugin} /> </>}{collection.one}</h1>
        </div>
      </header>
      {choosing && <PluginPicker of={search.of} />}
      {plugin && <PluginAbout name={plugin} />}
      {fields.error && <ErrorNotice error={fields.error} onRetry={() => void fields.refetch()} />}
      {!choosing && fields.data && <NewForm key={plugin} collection={collection} all={fields.data} parent={parent} plugin={plugin} />}
    </>
  );
}

/** Stands for the four fields that say where a service is. */
const URL_FIELD: Field = { name: "url", kind: { type: "text" }, required: true, preset: null, secret: false, about: "where your API is, for example http://localhost:3000" };
const IN_URL = ["protocol", "host", "port", "path"];

function NewForm({ collection, all, parent, plugin }: { collection: Collection; all: Field[]; parent: { field: string; id: string } | null; plugin?: string }) {
  const navigate = useNavigate();
  const save = useSave(collection.path, null);
  const fields = useMemo(() => (collection.path === "services" ? [URL_FIELD, ...all.filter((field) => !IN_URL.includes(field.name))] : all), [collection, all]);
  const empty = useMemo(() => toRecord(fields, {}), [fields]);
  const start = useMemo(() => {
    const given: RecordDraft = parent && fields.some((field) => field.name === parent.field) ? { [parent.field]: parent.id } : {};
    // A line to type into: most routes have a path.
    return { ...empty, ...given, ...(collection.path === "routes" && { paths: [""] }) };
  }, [fields, empty, parent, collection]);
  const submit = async (draft: RecordDraft) => {
    const body: { [name: string]: Json } = { ...changes(fields, empty, draft), ...(plugin !== undefined && { name: plugin }) };
    const made = await save.mutateAsync(body);
    toast(`Made ${collection.path === "key-auths" ? "a key" : nameOf(collection.schema, made)}`);
    const above = parent && collectionOf(`${parent.field}s`);
    if (above) void navigate({ to: "/gateway/$collection/$id", params: { collection: above.path, id: parent.id }, ignoreBlocker: true });
    else if (plugin !== undefined) void navigate({ to: "/gateway/$collection", params: { collection: "plugins" }, ignoreBlocker: true });
    else void navigate({ to: "/gateway/$collection/$id", params: { collection: collection.path, id: made.id }, ignoreBlocker: true });
  };
  return <EntityForm fields={fields} front={plugin === undefined ? (collection.frontNew ?? collection.front) : [...collection.front, "config"]} start={start} saved={null} readOnly={false} verb={`Make this ${collection.one}`} onSubmit={submit} busy={save.isPending} />;
}

function OnePage({ collection, id, readOnly }: { collection: Collection; id: string; readOnly: boolean }) {
  const entity = useEntity(collection.path, id);
  const plugin = collection.path === "plugins" && entity.data ? text(entity.data.name) : undefined;
  const fields = useFields(collection.schema, plugin);
  const [deleting, setDeleting] = useState(false);
  const navigate = useNavigate();
  const gone = entity.error instanceof AdminError && entity.error.status === 404;
  if (gone) return <Notice title={`There is no such ${collection.one}`}><Link to="/gateway/$collection" params={{ collection: collection.path }}>All {collection.title.toLowerCase()}</Link></Notice>;
  const ready = entity.data && fields.data && (collection.path !== "plugins" || plugin !== undefined);
  return (
    <>
      {(entity.error ?? fields.error) && <ErrorNotice error={entity.error ?? fields.error} onRetry={() => { void entity.refetch(); void fields.refetch(); }} />}
      {entity.data && (
        <header className={styles.head}>
          <div>
            <Crumbs collection={collection} parent={parentOf(entity.data)} />
            <h1><Captured text={collection.path === "key-auths" ? "A key" : nameOf(collection.schema, entity.data)} /></h1>
          </div>
          {!readOnly && <div className={styles.actions}><Button icon="trash" onClick={() => setDeleting(true)}>Delete</Button></div>}
          <DeleteDialog collection={collection} entity={deleting ? entity.data : null} onClose={() => setDeleting(false)} onDeleted={() => void navigate({ to: "/gateway/$collection", params: { collection: collection.inner ? (collection.path === "targets" ? "upstreams" : "consumers") : collection.path }, ignoreBlocker: true })} />
        </header>
      )}
      {plugin && <PluginAbout name={plugin} />}
      {entity.data && collection.path === "services" && <CallIt id={entity.data.id} />}
      {entity.data && collection.children.map((child) => <Children key={child} path={child} field={collection.one} id={entity.data.id} readOnly={readOnly} />)}
      {ready && <Settings key={plugin} collection={collection} entity={entity.data} fields={fields.data} readOnly={readOnly} />}
    </>
  );
}

function Settings({ collection, entity, fields, readOnly }: { collection: Collection; entity: Entity; fields: Field[]; readOnly: boolean }) {
  const save = useSave(collection.path, entity.id);
  const [saved, setSaved] = useState(() => toRecord(fields, entity));
  const submit = async (draft: RecordDraft) => {
    const changed = changes(fields, saved, draft);
    if (!changed) return;
    const now = await save.mutateAsync(changed);
    setSaved(toRecord(fields, now));
    toast("Saved");
  };
  return (
    <section className={styles.section} aria-label="Settings">
      <h2>Settings</h2>
      <EntityForm fields={fields} front={collection.path === "plugins" ? [...collection.front, "config"] : collection.front} start={saved} saved={saved} readOnly={readOnly} verb="Save" onSubmit={submit} busy={save.isPending} />
    </section>
  );
}

type FormProps = { fields: Field[]; front: readonly string[]; start: RecordDraft; /** Null for a new one. */ saved: RecordDraft | null; readOnly: boolean; verb: string; busy: boolean; onSubmit(draft: RecordDraft): Promise<void> };

function EntityForm({ fields, front, start, saved, readOnly, verb, busy, onSubmit }: FormProps) {
  const [draft, setDraft] = useState(start);
  const [mistakes, setMistakes] = useState<Mistakes>(null);
  const [failure, setFailure] = useState<Error | null>(null);
  const form = useRef<HTMLFormElement>(null);
  // What the gateway made of it stands in the form once it is saved.
  useEffect(() => setDraft(start), [start]);
  const changed = useMemo(() => changes(fields, start, draft), [fields, start, draft]);
  const leaving = useBlocker({ shouldBlockFn: () => changed !== null && !busy, withResolver: true, enableBeforeUnload: () => changed !== null });

  const submit = async (event?: FormEvent) => {
    event?.preventDefault();
    if (readOnly || busy) return;
    const clean = tidy(fields, draft);
    setDraft(clean);
    setFailure(null);
    const before = unsendable(fields, clean);
    setMistakes(before);
    if (before !== null) return showMistakes();
    try {
      await onSubmit(clean);
    } catch (error) {
      const told = error instanceof AdminError ? onFields(error.mistakes, fields) : null;
      setMistakes(told);
      if (lines(told).length === 0) setFailure(error as Error);
      showMistakes();
    }
  };
  const showMistakes = () => requestAnimationFrame(() => form.current?.querySelector<HTMLElement>("[role=alert]")?.scrollIntoView({ block: "nearest" }));
  useKeys({ "Mod+enter": () => void submit(), "Mod+s": () => void submit() });
  const count = changed === null ? 0 : Object.keys(changed).length;
  return (
    <form ref={form} className={styles.form} onSubmit={(event) => void submit(event)} autoComplete="off" noValidate>
      <SchemaForm fields={fields} value={draft} onChange={setDraft} mistakes={mistakes} readOnly={readOnly} path="f" front={front} />
      {!readOnly && (
        <div className={styles.save}>
          {failure && <ErrorNotice error={failure} />}
          <MistakeList mistakes={mistakes} path="f" title="Not saved. To repair:" />
          <div className={styles.saveLine}>
            <Button look="strong" type="submit" disabled={busy || (saved !== null && changed === null)} title={`${verb} (Ctrl Enter)`}>{busy ? "Saving…" : verb}</Button>
            {saved !== null && changed !== null && <Button look="quiet" onClick={() => { setDraft(start); setMistakes(null); setFailure(null); }}>Take back</Button>}
            {saved !== null && <span className="muted" role="status">{count === 0 ? "as saved" : `${count} ${count === 1 ? "field" : "fields"} changed`}</span>}
          </div>
        </div>
      )}
      <Modal open={leaving.status === "blocked"} onClose={() => leaving.reset?.()} title="Leave without saving?">
        <div className={styles.dialog}>
          <p>What was typed here is not saved.</p>
          <div className={styles.dialogActions}>
            <Button onClick={() => leaving.reset?.()}>Stay</Button>
            <Button className={styles.danger} onClick={() => leaving.proceed?.()}>Leave</Button>
          </div>
        </div>
      </Modal>
    </form>
  );
}

/** Mistakes about parts of the URL belong to the field where it was typed. */
function onFields(mistakes: Mistakes, fields: Field[]): Mistakes {
  if (mistakes === null || typeof mistakes !== "object" || Array.isArray(mistakes)) return mistakes;
  if (!fields.includes(URL_FIELD)) return mistakes;
  const { url, ...rest } = mistakes;
  const part = IN_URL.map((name) => rest[name]).find((one) => one !== undefined && one !== null);
  const others = Object.fromEntries(Object.entries(rest).filter(([name]) => !IN_URL.includes(name)));
  return url !== undefined || part !== undefined ? { ...others, url: url ?? part ?? null } : others;
}

function parentOf(entity: Entity): { field: string; id: string } | null {
  for (const field of ["service", "route", "consumer", "upstream"]) {
    const id = idOf(entity[field]);
    if (id !== null) return { field, id };
  }
  return null;
}

function Crumbs({ collection, parent }: { collection: Collection; parent: { field: string; id: string } | null }) {
  const above = parent && collectionOf(`${parent.field}s`);
  const known = useEntities(above?.path ?? "services", above !== null && above !== undefined).data?.entities;
  const shown: ReactNode = above && parent ? <><Link to="/gateway/$collection" params={{ collection: above.path }}>{above.title}</Link> › <EntityLink schema={above.schema} id={parent.id} entity={known?.find((one) => one.id === parent.id)} /> › </> : null;
  return <p className={styles.crumbs}>{shown}{collection.inner ? collection.title : <Link to="/gateway/$collection" params={{ collection: collection.path }}>{collection.title}</Link>} ›</p>;
}

function PluginAbout({ name }: { name: string }) {
  const about = useGateway().data?.plugins.find((plugin) => plugin.name === name)?.about;
  return about ? <p className={styles.about}>{about.charAt(0).toUpperCase() + about.slice(1)}.</p> : null;
}

/** What belongs to this one, with a way to add to it. */
function Children({ path, field, id, readOnly }: { path: string; field: string; id: string; readOnly: boolean }) {
  const child = collectionOf(path)!;
  const { data, error, refetch } = useEntities(path);
  const own = data?.entities.filter((one) => idOf(one[field]) === id) ?? [];
  const missing = path === "routes" ? "No route leads here yet: calls cannot reach this service." : path === "plugins" ? `No plugin of its own. Plugins for all calls run here too.` : child.about;
  return (
    <section className={styles.section} aria-label={child.title}>
      <div className={styles.sectionHead}>
        <h2>{child.title}</h2>
        {!readOnly && <Link to="/gateway/$collection/$id" params={{ collection: path, id: "new" }} search={{ of: `${field}:${id}` }} className={own.length === 0 && path === "routes" ? `${styles.add} ${styles.addStrong}` : styles.add}>Add a {child.one}</Link>}
      </div>
      {error && <ErrorNotice error={error} onRetry={() => void refetch()} />}
      {data && own.length === 0 && <p className="muted">{missing}</p>}
      {own.length > 0 && <EntityTable collection={child} entities={own} readOnly={readOnly} label={child.title} parent={field} />}
    </section>
  );
}

/** A first call through the gateway, ready to paste. */
function CallIt({ id }: { id: string }) {
  const setup = useSetup();
  const routes = useEntities("routes").data?.entities.filter((route) => idOf(route.service) === id) ?? [];
  if (!setup.data || setup.data.addresses.proxy === null) return null;
  const { proxy } = addressesFor(setup.data.addresses, location);
  const command = routes.map((route) => callOf(route, proxy)).find((one) => one !== null);
  return command ? <section className={styles.section} aria-label="Call it"><h2>Call it</h2><Command text={command} name="Call it" /></section> : null;
}

