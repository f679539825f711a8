import { useVirtualizer, type Range } from "@tanstack/react-virtual";
import { memo, useCallback, useEffect, useImperativeHandle, useMemo, useRef, type KeyboardEvent, type MouseEvent, type Ref } from "react";
import type { ExchangeRow } from "../../api/types";
import { useSettings } from "../../app/settings";
import { Captured, capturedTitle } from "../../components/Captured";
import { Status } from "../../components/Status";
import { formatBytes, formatDuration } from "../../lib/numbers";
import { formatFull, formatInstant, type Zone } from "../../lib/time";
import styles from "./CallGrid.module.css";
import { ColumnHeads } from "./ColumnHeads";
import { gridTemplate, type Shown } from "./columns";

export type Focus = { index: number; column: number };

export type GridHandle = { focusAt(index: number): void; element: HTMLDivElement | null };

type Props = {
  rows: ExchangeRow[];
  columns: Shown[];
  onColumns(columns: Shown[]): void;
  rowHeight: number;
  /** How many there are altogether; -1 when that is not known. */
  rowCount: number;
  focus: Focus;
  onFocus(focus: Focus): void;
  selected: ReadonlySet<string>;
  openId?: string;
  gaps?: ReadonlySet<string>;
  onOpen(row: ExchangeRow): void;
  onFilter(field: string, value: string | number | null, without: boolean): void;
  onEnd(): void;
  onScrolled?(top: number): void;
  onHover?(inside: boolean): void;
  label: string;
  ref?: Ref<GridHandle>;
};

/** The list of calls: only the rows in sight exist, and the focused one. One tab stop; arrows move inside. */
export function CallGrid(props: Props) {
  const { rows, columns, rowHeight, focus, onFocus, onEnd } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const wantsFocus = useRef(false);
  const { zone } = useSettings();
  const { template, minWidth } = useMemo(() => gridTemplate(columns), [columns]);
  const focusIndex = Math.min(focus.index, rows.length - 1);

  const rangeExtractor = useCallback(
    (range: Range) => {
      const first = Math.max(0, range.startIndex - range.overscan);
      const last = Math.min(range.count - 1, range.endIndex + range.overscan);
      const inSight = Array.from({ length: last - first + 1 }, (_, at) => first + at);
      if (focusIndex >= 0 && focusIndex < first) inSight.unshift(focusIndex);
      if (focusIndex > last) inSight.push(focusIndex);
      return inSight;
    },
    [focusIndex],
  );
  const virtual = useVirtualizer({ count: rows.length, getScrollElement: () => scroller.current, estimateSize: () => rowHeight, overscan: 12, rangeExtractor, getItemKey: (at) => rows[at]?.id ?? at });
  useEffect(() => virtual.measure(), [rowHeight, virtual]);

  const items = virtual.getVirtualItems();
  const lastInSight = virtual.range?.endIndex ?? 0;
  useEffect(() => {
    if (rows.length > 0 && lastInSight >= rows.length - 40) onEnd();
  }, [lastInSight, rows.length, onEnd]);

  const focusAt = useCallback((index: number) => {
    wantsFocus.current = true;
    virtual.scrollToIndex(index, { align: "auto" });
  }, [virtual]);
  useImperativeHandle(props.ref, () => ({ focusAt, element: scroller.current }), [focusAt]);
  useEffect(() => {
    if (!wantsFocus.current) return;
    const cell = scroller.current?.querySelector<HTMLElement>('[role="gridcell"][tabindex="0"]');
    if (cell) {
      cell.focus({ preventScroll: true });
      wantsFocus.current = false;
    }
  });

  const move = (index: number, column: number) => {
    const to = { index: Math.max(0, Math.min(rows.length - 1, index)), column: Math.max(0, Math.min(columns.length - 1, column)) };
    onFocus(to);
    focusAt(to.index);
  };
  const page = Math.max(1, Math.floor((scroller.current?.clientHeight ?? 400) / rowHeight) - 2);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.metaKey || event.altKey) return;
    const steps: Record<string, [number, number]> = {
      ArrowDown: [focusIndex + 1, focus.column], ArrowUp: [focusIndex - 1, focus.column], ArrowLeft: [focusIndex, focus.column - 1], ArrowRight: [focusIndex, focus.column + 1],
      PageDown: [focusIndex + page, focus.column], PageUp: [focusIndex - page, focus.column],
      Home: event.ctrlKey ? [0, 0] : [focusIndex, 0], End: event.ctrlKey ? [rows.length - 1, columns.length - 1] : [focusIndex, columns.length - 1],
    };
    const step = steps[event.key];
    if (!step || !(event.target as HTMLElement).closest("[role=gridcell]")) return;
    event.preventDefault();
    move(...step);
  };

  // One pair of handlers for all rows, so that rows that did not change are not drawn again.
  const latest = useRef(props);
  latest.current = props;
  const onCell = useCallback((event: MouseEvent, index: number, column: number) => {
    const { rows: now, columns: shown, onFilter, onOpen, onFocus: focused } = latest.current;
    const row = now[index];
    const definition = shown[column];
    if (!row || !definition) return;
    focused({ index, column });
    if (event.altKey && definition.field) {
      event.preventDefault();
      onFilter(definition.field, definition.value(row), true);
    } else if ((event.metaKey || event.ctrlKey) && definition.field) onFilter(definition.field, definition.value(row), false);
    else if (!getSelection()?.toString()) onOpen(row);
  }, []);

  return (
    <div
      ref={scroller} className={styles.scroller} onScroll={(event) => props.onScrolled?.(event.currentTarget.scrollTop)}
      onPointerEnter={(event) => event.pointerType === "mouse" && props.onHover?.(true)} onPointerLeave={() => props.onHover?.(false)}
    >
      <div role="grid" aria-label={props.label} aria-rowcount={props.rowCount < 0 ? -1 : props.rowCount + 1} aria-colcount={columns.length} aria-multiselectable="true" onKeyDown={onKeyDown} style={{ "--columns": template, minWidth } as never} className={styles.grid}>
        <ColumnHeads columns={columns} onChange={props.onColumns} />
        <div role="rowgroup" style={{ height: virtual.getTotalSize(), position: "relative" }}>
          {items.map((item) => {
            const row = rows[item.index]!;
            return (
              <Row
                key={item.key} row={row} index={item.index} top={item.start} height={rowHeight} columns={columns} zone={zone}
                focusColumn={item.index === Math.max(0, focusIndex) ? Math.min(focus.column, columns.length - 1) : -1}
                selected={props.selected.has(row.id)} open={row.id === props.openId} gap={props.gaps?.has(row.id) ?? false} onCell={onCell}
              />
            );
          })}
        </div>
      </div>
    </div>
  );
}

type RowProps = {
  row: ExchangeRow; index: number; top: number; height: number; columns: Shown[]; zone: Zone; focusColumn: number; selected: boolean; open: boolean; gap: boolean;
  onCell(event: MouseEvent, index: number, column: number): void;
};

const Row = memo(function Row({ row, index, top, height, columns, zone, focusColumn, selected, open, gap, onCell }: RowProps) {
  const className = [styles.row, selected && styles.selected, open && styles.open, focusColumn >= 0 && styles.current].filter(Boolean).join(" ");
  return (
    <div role="row" aria-rowindex={index + 2} aria-selected={selected || open} className={className} style={{ transform: `translateY(${top}px)`, height }}>
      {columns.map((column, at) => (
        <div
          key={column.key} role="gridcell" aria-colindex={at + 1} tabIndex={at === focusColumn ? 0 : -1} className={column.right ? styles.right : styles.cell}
          onClick={(event) => onCell(event, index, at)} title={titleOf(column, row, zone)}
        >
          {gap && at === 0 && <span className={styles.gap} title="The connection was lost here; calls may be missing">gap</span>}
          <Cell column={column} row={row} zone={zone} />
        </div>
      ))}
    </div>
  );
});

function titleOf(column: Shown, row: ExchangeRow, zone: Zone): string | undefined {
  if (column.key === "time") return formatFull(Date.parse(row.start_time), zone);
  if (column.key === "endpoint") return capturedTitle(row.query ? `${row.path}?${row.query}` : row.path);
  const value = column.value(row);
  return value === null ? undefined : capturedTitle(String(value)) + (column.key === "latency" ? " ms" : column.right ? " bytes" : "");
}

function Cell({ column, row, zone }: { column: Shown; row: ExchangeRow; zone: Zone }) {
  const value = column.value(row);
  if (column.key === "time") return <span className={styles.time}>{shortTime(formatInstant(Date.parse(row.start_time), zone, Date.now()), column.width)}</span>;
  if (column.key === "status") return <Status status={row.status} error={row.error} />;
  if (column.key === "latency") return <Latency milliseconds={row.duration_ms} bar={column.width >= 90} />;
  if (value === null || value === "") return <span className={styles.none}>–</span>;
  if (column.right) return <span className="num">{formatBytes(Number(value))}</span>;
  if (column.key === "method") return <span className={styles.method}><Captured text={String(value)} /></span>;
  if (column.key === "endpoint" && row.operation) return <><Captured text={String(value)} /> <span className={styles.operation}><Captured text={row.operation} /></span></>;
  return <Captured text={String(value)} />;
}

/** Without milliseconds where there is no room for them. */
const shortTime = (text: string, width: number) => (width < 96 ? text.replace(/\.\d+$/, "") : text);

/** The figure, and a bar whose length is the order of magnitude: 1 ms is nothing, 10 s is full. */
function Latency({ milliseconds, bar }: { milliseconds: number | null; bar: boolean }) {
  const share = milliseconds === null ? 0 : Math.max(0, Math.min(1, Math.log10(Math.max(1, milliseconds)) / 4));
  return (
    <span className={styles.latency}>
      {bar && <i aria-hidden="true"><b style={{ width: `${share * 100}%` }} className={share > 0.75 ? styles.slow : undefined} /></i>}
      <span className="num">{formatDuration(milliseconds)}</span>
    </span>
  );
}
