import * as Menu from "@radix-ui/react-dropdown-menu";
import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { lazy, Suspense, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { ApiError, exportAddress } from "../../api/client";
import { useSetup } from "../../api/ledger";
import type { ExchangeRow } from "../../api/types";
import { useKeys } from "../../app/keys";
import { refresh } from "../../app/refresh";
import { changeSettings, useSettings } from "../../app/settings";
import { rangeSearch, useView } from "../../app/view";
import { Histogram } from "../../charts/Histogram";
import { histogramOf } from "../../charts/histogram-data";
import { Button } from "../../components/Button";
import { ErrorNotice } from "../../components/ErrorNotice";
import menu from "../../components/Menu.module.css";
import { Notice } from "../../components/Notice";
import { formatTotal } from "../../lib/numbers";
import { addFilter } from "../../lib/query-text";
import { absolute, forApi } from "../../lib/time";
import { useDelayed } from "../../lib/use-delayed";
import { useWidth } from "../../lib/use-size";
import { CallPanel } from "../call/CallPanel";
import { StartPage } from "../start/StartPage";
import { CallGrid, type Focus, type GridHandle } from "./CallGrid";
import { ColumnChoice } from "./ColumnHeads";
import { formatColumns, readColumns, type Shown } from "./columns";
import { useExplore } from "./explore";
import { FieldSidebar } from "./FieldSidebar";
import { LiveBar } from "./LiveBar";
import { NoMatch } from "./NoMatch";
import { QueryBar, type QueryBarHandle } from "./QueryBar";
import { SelectionBar } from "./SelectionBar";
import { copyCurl, copyLink, saveHar } from "./row-actions";
import styles from "./TrafficPage.module.css";
import { useLive } from "./use-live";
import { readView, ViewTabs } from "./ViewTabs";

// Most visits look at calls.
const figures = () => import("./Figures");
const ChartView = lazy(async () => ({ default: (await figures()).ChartView }));
const TopView = lazy(async () => ({ default: (await figures()).TopView }));

export function TrafficPage() {
  const setup = useSetup();
  const { search } = useView();
  // Until the first call there is nothing to search; when it comes, the first-run page shows it and then opens it here.
  const waiting = useRef(false);
  if (setup.data?.exchanges === 0) waiting.current = true;
  if (search.call !== undefined) waiting.current = false;
  return waiting.current ? <StartPage /> : <Traffic />;
}

function Traffic() {
  const view = useView();
  const { q, range, live, change } = view;
  const { sidebar } = useSettings();
  const navigate = useNavigate();
  const client = useQueryClient();
  const page = useRef<HTMLDivElement>(null);
  const width = useWidth(page);
  const bar = useRef<QueryBarHandle>(null);
  const grid = useRef<GridHandle>(null);
  const [focus, setFocus] = useState<Focus>({ index: 0, column: 0 });
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [fieldsOpen, setFieldsOpen] = useState(false);

  const query = useExplore(q, range);
  const { first, isFetching, isPlaceholderData, hasNextPage, fetchNextPage, isFetchingNextPage } = query;
  const error = query.error instanceof Error ? query.error : null;
  const apiError = error instanceof ApiError ? error : null;
  const badQuery = apiError?.about("q") !== undefined;

  const [stopped, setStopped] = useState(false);
  const [scrolled, setScrolled] = useState(false);
  const [hovered, setHovered] = useState(false);
  const paused = stopped || scrolled || hovered || view.search.call !== undefined;
  const stream = useLive(q, live && !badQuery, paused, first && !isPlaceholderData ? first.exchanges : undefined);
  // Histogram and total follow while live.
  useEffect(() => {
    if (!live) return;
    const timer = setInterval(() => document.visibilityState === "visible" && refresh(), 5000);
    return () => clearInterval(timer);
  }, [live]);

  const rows = live && stream.rows.length > 0 ? stream.rows : query.rows;
  const busy = useDelayed(isFetching && !isFetchingNextPage && !live);
  const long = useDelayed(isFetching && !live, 1000);
  const stale = busy && isPlaceholderData;
  const wide = width >= 760;
  const openId = view.search.call;
  const columns = useMemo(() => readColumns(view.search.cols, !wide ? "narrow" : openId ? "beside" : "wide"), [view.search.cols, wide, openId]);
  const setColumns = useCallback((next: Shown[]) => change({ cols: formatColumns(next) }, { replace: true }), [change]);

  const undo = useRef<{ past: string[]; future: string[]; at: string }>({ past: [], future: [], at: q });
  useEffect(() => {
    if (undo.current.at === q) return;
    undo.current = { past: [...undo.current.past.slice(-50), undo.current.at], future: [], at: q };
  }, [q]);
  const stepQuery = (from: "past" | "future", to: "past" | "future") => {
    const before = undo.current[from].at(-1);
    if (before === undefined) return;
    undo.current = { ...undo.current, [from]: undo.current[from].slice(0, -1), [to]: [...undo.current[to], undo.current.at], at: before };
    change({ q: before });
  };

  useEffect(() => {
    setFocus((now) => ({ ...now, index: 0 }));
    setSelected(new Set());
    grid.current?.element?.scrollTo({ top: 0 });
  }, [q, range.from, range.to]);

  const setQuery = useCallback((next: string) => (next === q ? refresh() : change({ q: next || undefined, call: undefined })), [change, q]);
  const filter = useCallback((field: string, value: string | number | boolean | null, without: boolean) => change({ q: addFilter(q, field, value, without) }), [change, q]);
  const open = useCallback((row: ExchangeRow | undefined, replace = false) => row && change({ call: row.id }, { replace }), [change]);
  const close = () => {
    change({ call: undefined }, { replace: true });
    grid.current?.focusAt(focus.index);
  };
  const step = (by: number) => {
    const at = openId ? rows.findIndex((row) => row.id === openId) : focus.index;
    const index = Math.max(0, Math.min(rows.length - 1, (at < 0 ? focus.index : at) + by));
    setFocus({ ...focus, index });
    if (openId) open(rows[index], true);
    else grid.current?.focusAt(index);
    return rows.length > 0;
  };
  const current = rows[Math.min(focus.index, rows.length - 1)];
  const filterByCell = (without: boolean) => {
    const column = columns[focus.column];
    if (!current || !column?.field) return false;
    filter(column.field, column.value(current), without);
  };
  const select = () => {
    if (!current) return false;
    const next = new Set(selected);
    if (!next.delete(current.id)) next.add(current.id);
    setSelected(next);
  };
  const toggleLive = () => change({ live: live ? undefined : "1", tab: undefined });

  useKeys({
    "/": () => bar.current?.focus(),
    j: () => step(1), k: () => step(-1), ArrowDown: () => (document.activeElement === document.body ? step(0) : false),
    Enter: () => { if (current) open(current); else return false; },
    x: select, f: () => filterByCell(false), F: () => filterByCell(true),
    c: () => { if (current) void copyCurl(openId ?? current.id, "posix"); else return false; },
    h: () => { if (current) saveHar(openId ?? current.id); else return false; },
    y: () => void copyLink(), l: toggleLive,
    Space: () => { if (live) setStopped(!stopped); else return false; },
    "Mod+z": () => stepQuery("past", "future"), "Mod+Shift+z": () => stepQuery("future", "past"),
    Escape: () => {
      if (openId) close();
      else if (selected.size > 0) setSelected(new Set());
      else if (isFetching) void client.cancelQueries({ queryKey: ["explore"] });
      else return false;
    },
  });

  const onEnd = useCallback(() => {
    if (!live && hasNextPage && !isFetchingNextPage && !isPlaceholderData) void fetchNextPage();
  }, [live, hasNextPage, isFetchingNextPage, isPlaceholderData, fetchNextPage]);
  const onScrolled = useCallback((top: number) => live && setScrolled(top > 4), [live]);
  const onHover = useCallback((inside: boolean) => live && setHovered(inside), [live]);
  const resume = () => {
    setStopped(false);
    setScrolled(false);
    setHovered(false);
    grid.current?.element?.scrollTo({ top: 0 });
  };

  const histogram = useMemo(() => (first ? histogramOf(first) : null), [first]);
  const api = forApi(range, Date.now(), "local");
  const empty = first !== undefined && rows.length === 0 && !isPlaceholderData && !live;
  const showSidebar = wide ? sidebar && !(openId && width < 1500) : fieldsOpen;
  const tall = view.search.row === "36";
  const drawn = live ? "calls" : readView(view.search.tab);

  const total = (
    <p className={styles.total} role="status" aria-live="polite">
      {long ? <>Searching… <kbd>Esc</kbd> stops</> : first && <><strong className="num">{formatTotal(first.total)}</strong> <span className="muted num" title="time the server took">{first.took_ms < 1 ? "< 1" : Math.round(first.took_ms)} ms</span></>}
    </p>
  );

  return (
    <div ref={page} className={styles.page}>
      <h1 className="visually-hidden">Traffic</h1>
      <div className={styles.controls}>
        <QueryBar ref={bar} q={q} range={range} error={apiError} onRun={setQuery} />
        <div className={styles.actions}>
          <Button icon="fields" label={showSidebar ? "Hide fields" : "Show fields"} aria-pressed={showSidebar} onClick={() => (wide ? changeSettings({ sidebar: !sidebar }) : setFieldsOpen(!fieldsOpen))} />
          <Button icon={live ? "pause" : "play"} aria-pressed={live} onClick={toggleLive} title="Live (l)">Live</Button>
          <Menu.Root>
            <Menu.Trigger asChild><Button icon="more" label="More" /></Menu.Trigger>
            <Menu.Portal>
              <Menu.Content className={menu.menu} align="end" sideOffset={4} collisionPadding={8}>
                <Menu.Item className={menu.item} onSelect={() => void copyLink()}>Copy link <kbd>y</kbd></Menu.Item>
                <Menu.Item className={menu.item} asChild><a href={exportAddress({ q, ...api, format: "har" })} download="weir.har">Save all as HAR</a></Menu.Item>
                <Menu.Item className={menu.item} asChild><a href={exportAddress({ q, ...api, format: "ndjson" })} download="weir.ndjson">Save all as JSON lines</a></Menu.Item>
                <Menu.Separator className={menu.separator} />
                <Menu.CheckboxItem className={menu.item} checked={tall} onCheckedChange={(on) => change({ row: on ? "36" : undefined }, { replace: true })}>
                  <Menu.ItemIndicator className={menu.tick}>✓</Menu.ItemIndicator>Airy rows
                </Menu.CheckboxItem>
                <Menu.Item className={menu.item} disabled={!view.search.cols} onSelect={() => change({ cols: undefined }, { replace: true })}>Usual columns</Menu.Item>
                <Menu.Separator className={menu.separator} />
                <ColumnChoice columns={columns} onChange={setColumns} />
              </Menu.Content>
            </Menu.Portal>
          </Menu.Root>
        </div>
      </div>
      {error && !badQuery && <ErrorNotice error={error} onRetry={refresh} busy={isFetching} />}
      {live && <LiveBar {...stream} paused={paused} stopped={stopped} onResume={resume} onStop={() => setStopped(true)} />}
      <div className={styles.body}>
        {showSidebar && <FieldSidebar q={badQuery ? "" : q} range={range} onFilter={filter} onClose={() => (wide ? changeSettings({ sidebar: false }) : setFieldsOpen(false))} />}
        <div className={[styles.results, stale && styles.stale, error && styles.old].filter(Boolean).join(" ")} aria-busy={busy}>
          {histogram && <Histogram data={histogram} lead={total} onZoom={(from, to) => change({ ...rangeSearch(absolute(from, to)), live: undefined })} />}
          {first && <ViewTabs current={drawn} search={view.search} />}
          {!first && busy && <Skeleton />}
          {!first && badQuery && (
            <Notice title="The query has a mistake">
              <p>It is marked above. <Button onClick={() => setQuery("")}>Clear the query</Button></p>
            </Notice>
          )}
          {empty ? (
            <NoMatch q={q} range={range} onQuery={setQuery} onRange={(next) => change(rangeSearch(next))} />
          ) : drawn !== "calls" ? (
            first && (
              <Suspense fallback={null}>
                {drawn === "chart" ? (
                  <ChartView q={q} from={first.from} to={first.to} intervalMs={first.histogram.interval_ms} onZoom={(from, to) => change(rangeSearch(absolute(from, to)))} />
                ) : (
                  <TopView q={q} onFilter={filter} />
                )}
              </Suspense>
            )
          ) : (
            first && (
              <CallGrid
                ref={grid} label="Calls, newest first" rows={rows} columns={columns} onColumns={setColumns} rowHeight={tall ? 36 : 28}
                rowCount={live ? -1 : first.total.relation === "eq" ? first.total.value : hasNextPage ? -1 : rows.length}
                focus={focus} onFocus={setFocus} selected={selected} openId={openId} gaps={live ? stream.gaps : undefined}
                onOpen={open} onFilter={filter} onEnd={onEnd} onScrolled={onScrolled} onHover={onHover}
              />
            )
          )}
          {selected.size > 0 && <SelectionBar ids={[...selected]} onClear={() => setSelected(new Set())} />}
        </div>
        {openId && (
          <CallPanel
            id={openId} onClose={close} onStep={step} onFilter={filter}
            onExpand={() => void navigate({ to: "/traffic/$id", params: { id: openId }, search: { ...view.search, call: undefined } })}
          />
        )}
      </div>
    </div>
  );
}

/** The layout to come, when it takes longer than a blink. */
function Skeleton() {
  return (
    <div className={styles.skeleton} aria-hidden="true">
      <div className={styles.skeletonChart} />
      {Array.from({ length: 14 }, (_, at) => <div key={at} className={styles.skeletonRow} style={{ opacity: 1 - at / 15 }} />)}
    </div>
  );
}
