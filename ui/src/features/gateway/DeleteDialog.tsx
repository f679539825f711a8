import { useEffect } from "react";
import type { Entity } from "../../api/admin";
import { Button } from "../../components/Button";
import { Captured } from "../../components/Captured";
import { ErrorNotice } from "../../components/ErrorNotice";
import { Modal } from "../../components/Modal";
import { collectionOf, idOf, nameOf, type Collection } from "./collections";
import styles from "./Gateway.module.css";
import { useDelete, useEntities } from "./use-admin";

/** Asks before something is deleted, and says what goes with it. */
export function DeleteDialog({ collection, entity, onClose, onDeleted }: { collection: Collection; entity: Entity | null; onClose(): void; onDeleted?(): void }) {
  const remove = useDelete(collection.path);
  const { reset } = remove;
  useEffect(() => reset(), [entity, reset]);
  return (
    <Modal open={entity !== null} onClose={onClose} title={`Delete this ${collection.one}?`}>
      {entity && (
        <div className={styles.dialog}>
          <p><strong><Captured text={collection.path === "key-auths" ? "the key" : nameOf(collection.schema, entity)} /></strong> stops working for new calls at once. This cannot be undone.</p>
          {collection.children.map((path) => <GoesWith key={path} path={path} field={collection.one} id={entity.id} />)}
          {remove.error && <ErrorNotice error={remove.error} />}
          <div className={styles.dialogActions}>
            <Button onClick={onClose}>Keep it</Button>
            <Button className={styles.danger} disabled={remove.isPending} onClick={() => remove.mutate(entity, { onSuccess: () => { onClose(); onDeleted?.(); } })}>{remove.isPending ? "Deleting…" : "Delete"}</Button>
          </div>
        </div>
      )}
    </Modal>
  );
}

function GoesWith({ path, field, id }: { path: string; field: string; id: string }) {
  const { data } = useEntities(path);
  const child = collectionOf(path)!;
  const count = data?.entities.filter((one) => idOf(one[field]) === id).length ?? 0;
  if (count === 0) return null;
  const what = `${count} ${count === 1 ? child.one : child.title.toLowerCase()}`;
  return path === "routes" ? <p>{what} still {count === 1 ? "leads" : "lead"} to it: delete {count === 1 ? "that" : "those"} first.</p> : <p>With it {count === 1 ? "goes" : "go"} {what}.</p>;
}
