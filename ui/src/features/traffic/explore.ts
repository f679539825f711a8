/** The calls that match: the first page with histogram and total in one answer, then page after page by cursor. */
import { keepPreviousData, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useMemo, useRef } from "react";
import { explore, getFields, getFieldValues, listExchanges } from "../../api/client";
import type { ExchangeList, Explore, ExchangeRow } from "../../api/types";
import { useRefreshCount } from "../../app/refresh";
import { getSettings } from "../../app/settings";
import { forApi, type TimeRange } from "../../lib/time";

const FIRST_PAGE = 100;
const NEXT_PAGE = 200;
const BUCKETS = 80;

type PageParam = { cursor: string; from: string; to: string } | null;
type Page = ExchangeList & Partial<Explore>;

export function useExplore(q: string, range: TimeRange, tick = 0) {
  const count = useRefreshCount();
  const { zone } = getSettings();
  const query = useInfiniteQuery({
    queryKey: ["explore", q, range.from, range.to, zone, count, tick],
    initialPageParam: null as PageParam,
    queryFn: ({ pageParam, signal }): Promise<Page> =>
      pageParam
        ? listExchanges({ q, ...pageParam, limit: NEXT_PAGE }, signal)
        : explore({ q, ...forApi(range, Date.now(), zone), limit: FIRST_PAGE, buckets: BUCKETS }, signal),
    getNextPageParam: (last: Page, pages: Page[]): PageParam | undefined => {
      const first = pages[0];
      // The ends that the first answer used: «now» must not move while scrolling.
      return last.next && first?.from && first.to ? { cursor: last.next, from: first.from, to: first.to } : undefined;
    },
    placeholderData: keepPreviousData,
    staleTime: Infinity,
    gcTime: 60_000,
  });
  // After a mistake the last good answer stays in sight.
  const lastGood = useRef<Page[] | undefined>(undefined);
  if (query.data) lastGood.current = query.data.pages;
  const pages = query.data?.pages ?? lastGood.current;
  const rows = useMemo(() => (pages ?? []).flatMap((page): ExchangeRow[] => page.exchanges), [pages]);
  return { ...query, first: pages?.[0] as Explore | undefined, rows };
}

export function useFields() {
  return useQuery({ queryKey: ["fields"], queryFn: ({ signal }) => getFields(signal), staleTime: 600_000 });
}

export function useFieldValues(field: string, q: string, range: TimeRange, options: { prefix?: string; limit: number; enabled: boolean }) {
  const count = useRefreshCount();
  const { zone } = getSettings();
  const { prefix, limit, enabled } = options;
  return useQuery({
    queryKey: ["values", field, q, range.from, range.to, zone, count, prefix, limit],
    queryFn: ({ signal }) => getFieldValues(field, { q, ...forApi(range, Date.now(), zone), prefix, limit }, signal),
    placeholderData: keepPreviousData,
    enabled,
    staleTime: 30_000,
  });
}

/** How many calls match, without their rows; for the hints of an empty list. */
export function useCount(q: string, range: TimeRange, enabled = true) {
  const { zone } = getSettings();
  return useQuery({
    queryKey: ["count", q, range.from, range.to, zone],
    queryFn: ({ signal }) => explore({ q, ...forApi(range, Date.now(), zone), limit: 1, buckets: 1 }, signal),
    enabled,
    staleTime: 15_000,
  });
}
