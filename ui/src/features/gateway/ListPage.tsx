import { useNavigate, useParams } from "@tanstack/react-router";
import { useMemo, useRef, useState } from "react";
import { MOST_LISTED, type Entity } from "../../api/admin";
import { useKeys } from "../../app/keys";
import { useView } from "../../app/view";
import { Button } from "../../components/Button";
import { ErrorNotice } from "../../components/ErrorNotice";
import { Notice } from "../../components/Notice";
import { formatCount } from "../../lib/numbers";
import { useDelayed } from "../../lib/use-delayed";
import { COLLECTIONS, collectionOf, type Collection } from "./collections";
import { EntityTable } from "./EntityTable";
import styles from "./Gateway.module.css";
import { GatewayFrame } from "./GatewayFrame";
import { useEntities } from "./use-admin";

/** All of one collection. */
export function ListPage() {
  const { collection: path } = useParams({ strict: false }) as { collection: string };
  const collection = collectionOf(path) ?? COLLECTIONS[0]!;
  return <GatewayFrame current={collection.path}>{(readOnly) => <List key={collection.path} collection={collection} readOnly={readOnly} />}</GatewayFrame>;
}

function List({ collection, readOnly }: { collection: Collection; readOnly: boolean }) {
  const { data, error, isFetching, isPending, refetch } = useEntities(collection.path);
  const { search, change } = useView();
  const [find, setFind] = useState(search.find ?? "");
  const field = useRef<HTMLInputElement>(null);
  const navigate = useNavigate();
  const waiting = useDelayed(isPending);
  const make = () => void navigate({ to: "/gateway/$collection/$id", params: { collection: collection.path, id: "new" } });
  useKeys({ n: () => (readOnly ? false : make()), "/": () => field.current?.focus() });
  const entities = data?.entities ?? [];
  const found = useMemo(() => matching(entities, find), [entities, find]);
  const empty = data !== undefined && entities.length === 0;
  return (
    <>
      <header className={styles.head}>
        <h1>{collection.title}</h1>
        {entities.length > 0 && <span className="muted">{formatCount(entities.length)}{data?.more && `, the first ${formatCount(MOST_LISTED)}`}</span>}
        <div className={styles.actions}>
          {entities.length > 0 && (
            <input ref={field} className={styles.find} type="search" aria-label={`Find ${collection.title.toLowerCase()}`} placeholder="Find" value={find} onChange={(event) => { setFind(event.target.value); change({ find: event.target.value || undefined }, { replace: true }); }} />
          )}
          {!readOnly && !empty && <Button look="strong" icon="plus" onClick={make} title={`New ${collection.one} (n)`}>New {collection.one}</Button>}
        </div>
      </header>
      {error && <ErrorNotice error={error} onRetry={() => void refetch()} busy={isFetching} />}
      {waiting && !data && <div className={styles.skeleton} aria-hidden="true" />}
      {empty && (
        <Notice title={`No ${collection.title.toLowerCase()} yet`}>
          <p>{collection.about}</p>
          {!readOnly && <Button look="strong" icon="plus" onClick={make}>New {collection.one}</Button>}
        </Notice>
      )}
      {found.length > 0 && <EntityTable collection={collection} entities={found} readOnly={readOnly} label={collection.title} />}
      {entities.length > 0 && found.length === 0 && <Notice title={`No ${collection.one} has «${find}» in it`}><Button onClick={() => { setFind(""); change({ find: undefined }, { replace: true }); }}>Show all</Button></Notice>}
    </>
  );
}

/** Those with all words somewhere in them; secrets of plugins and keys are not looked at. */
export function matching(entities: Entity[], find: string): Entity[] {
  const words = find.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return entities;
  return entities.filter((entity) => {
    const { config: _config, key: _key, ...shown } = entity;
    const text = JSON.stringify(shown).toLowerCase();
    return words.every((word) => text.includes(word));
  });
}
