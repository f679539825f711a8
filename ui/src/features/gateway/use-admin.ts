/** The gateway's configuration as the screens read and change it. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { changeEntity, createEntity, deleteEntity, getEntity, getEntitySchema, getGateway, getPluginSchema, listEntities, type Entity, type Json, type Listed } from "../../api/admin";
import { toast } from "../../components/Toasts";
import { bySchema, collectionOf, nameOf } from "./collections";
import { readSchema, type Field } from "./schema";

const LISTS = ["admin", "list"] as const;

export function useGateway() {
  return useQuery({ queryKey: ["admin", "gateway"], queryFn: ({ signal }) => getGateway(signal), staleTime: 60_000 });
}

/** All of a collection, by its path or its name in schemas. */
export function useEntities(collection: string, enabled = true) {
  const path = collectionOf(collection)?.path ?? bySchema(collection)?.path ?? collection;
  return useQuery({ queryKey: [...LISTS, path], queryFn: ({ signal }) => listEntities(path, signal), staleTime: 5_000, enabled });
}

export function useEntity(collection: string, id: string) {
  return useQuery({ queryKey: ["admin", "one", collection, id], queryFn: ({ signal }) => getEntity(collection, id, signal), staleTime: 0 });
}

/** The fields of an entity; for a plugin, with those of its settings. */
export function useFields(schema: string, plugin?: string) {
  return useQuery({
    queryKey: ["admin", "schema", schema, plugin],
    queryFn: async ({ signal }): Promise<Field[]> => {
      const fields = readSchema(await getEntitySchema(schema, signal));
      if (plugin === undefined) return fields;
      const own = new Map(readSchema(await getPluginSchema(plugin, signal)).map((field) => [field.name, field]));
      // What a plugin says about a field goes before what all plugins have in common.
      return fields.filter((field) => field.name !== "name").map((field) => own.get(field.name) ?? field);
    },
    staleTime: 600_000,
  });
}

export type Change = { id: string; changes: { [name: string]: Json } };

/** Shows a change at once, and takes it back when the gateway refuses. For switches; forms wait for the answer. */
export function useSwitch(collection: string) {
  const client = useQueryClient();
  const key = [...LISTS, collection];
  return useMutation({
    mutationFn: ({ id, changes }: Change) => changeEntity(collection, id, changes),
    onMutate: async ({ id, changes }) => {
      await client.cancelQueries({ queryKey: key });
      const before = client.getQueryData<Listed>(key);
      if (before) client.setQueryData<Listed>(key, { ...before, entities: before.entities.map((one): Entity => (one.id === id ? { ...one, ...changes } : one)) });
      return before;
    },
    onError: (error, _change, before) => {
      if (before) client.setQueryData(key, before);
      toast(`Not changed: ${error.message}`);
    },
    onSettled: () => client.invalidateQueries({ queryKey: ["admin"], predicate: notSchema }),
  });
}

/** Makes or changes one. */
export function useSave(collection: string, id: string | null) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (body: { [name: string]: Json }) => (id === null ? createEntity(collection, body) : changeEntity(collection, id, body)),
    onSuccess: () => client.invalidateQueries({ queryKey: ["admin"], predicate: notSchema }),
  });
}

export function useDelete(collection: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (entity: Entity) => deleteEntity(collection, entity.id),
    onSuccess: (_, entity) => {
      client.removeQueries({ queryKey: ["admin", "one", collection, entity.id] });
      toast(`Deleted ${nameOf(collectionOf(collection)?.schema ?? collection, entity)}`);
      return client.invalidateQueries({ queryKey: ["admin"], predicate: notSchema });
    },
  });
}

const notSchema = (query: { queryKey: readonly unknown[] }): boolean => query.queryKey[1] !== "schema";
