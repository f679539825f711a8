/** Users and companies: what reporters said of them, beside what their calls say. */
import { keepPreviousData, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { aggregate, ApiError, getFieldValues } from "../../api/client";
import { getProfile, listProfiles, type ProfileKind } from "../../api/profiles";
import type { Profile } from "../../api/types";
import { useRefreshCount } from "../../app/refresh";
import { getSettings } from "../../app/settings";
import { forApi, type TimeRange } from "../../lib/time";

export type Kind = { path: ProfileKind; title: string; one: string; /** The field of calls that names one. */ field: string };

export const KINDS: Record<ProfileKind, Kind> = {
  users: { path: "users", title: "Users", one: "user", field: "user" },
  companies: { path: "companies", title: "Companies", one: "company", field: "company" },
};

const PAGE = 50;

export function usePeople(kind: Kind, search: string, company?: string) {
  const count = useRefreshCount();
  return useInfiniteQuery({
    queryKey: ["people", kind.path, search, company, count],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam, signal }) => listProfiles(kind.path, { search, company, limit: PAGE, cursor: pageParam }, signal),
    getNextPageParam: (last) => last.next ?? undefined,
    placeholderData: keepPreviousData,
  });
}

/** Ids of the traffic that begin with what is searched: of many nobody but the traffic knows. */
export function useIds(kind: Kind, prefix: string) {
  return useQuery({
    queryKey: ["people", "ids", kind.path, prefix],
    queryFn: async ({ signal }) => (await getFieldValues(kind.field, { q: "", prefix, limit: PAGE }, signal)).values.map((one) => String(one.value)),
    enabled: prefix !== "",
    placeholderData: keepPreviousData,
  });
}

export type Figures = { count: number; errors: number | null; p95: number | null };

/** What the calls of these say, in the range of the page. */
export function useFigures(kind: Kind, ids: string[], range: TimeRange) {
  const count = useRefreshCount();
  const { zone } = getSettings();
  return useQuery({
    queryKey: ["people", "figures", kind.path, ids, range.from, range.to, zone, count],
    queryFn: async ({ signal }) => {
      const filter = { field: kind.field, op: "in" as const, values: ids };
      const table = await aggregate({ ...forApi(range, Date.now(), zone), filter, group_by: [kind.field], measures: ["count", "error_ratio", "p95(latency)"], limit: Math.max(1, ids.length) }, signal);
      return new Map(table.rows.map(([id, calls, errors, p95]): [string, Figures] => [String(id), { count: Number(calls), errors: errors as number | null, p95: p95 as number | null }]));
    },
    enabled: ids.length > 0,
    placeholderData: keepPreviousData,
  });
}

/** A profile; null when no reporter said anything of this one. */
export function useProfile(kind: Kind, id: string) {
  return useQuery({
    queryKey: ["people", "one", kind.path, id],
    queryFn: async ({ signal }): Promise<Profile | null> => {
      try {
        return await getProfile(kind.path, id, signal);
      } catch (error) {
        if (error instanceof ApiError && error.status === 404) return null;
        throw error;
      }
    },
  });
}

export type Fact = { path: string; value: string };

/** Facts shown of one profile; a reporter may have said anything. */
const MOST_FACTS = 200;

/** Properties as lines, members of members by their path; lists of plain values stay together. */
export function factsOf(properties: Record<string, unknown>): { facts: Fact[]; more: boolean } {
  const facts: Fact[] = [];
  const visit = (path: string, value: unknown): void => {
    if (facts.length > MOST_FACTS || value === null || value === undefined || value === "") return;
    if (Array.isArray(value)) {
      if (value.every((item) => item === null || typeof item !== "object")) facts.push({ path, value: value.map(String).join(", ") });
      else value.forEach((item, index) => visit(`${path}[${index}]`, item));
    } else if (typeof value === "object") {
      for (const [name, inner] of Object.entries(value)) visit(path === "" ? name : `${path}.${name}`, inner);
    } else facts.push({ path, value: String(value) });
  };
  visit("", properties);
  return { facts: facts.slice(0, MOST_FACTS), more: facts.length > MOST_FACTS };
}
