import "uplot/dist/uPlot.min.css";
import { useEffect, useMemo, useRef, useState, type KeyboardEvent, type ReactNode } from "react";
import UPlot from "uplot";
import { isDark, useSettings } from "../app/settings";
import { Button } from "../components/Button";
import { formatCount, formatInterval, formatShort } from "../lib/numbers";
import { formatInstant, type Zone } from "../lib/time";
import { useWidth } from "../lib/use-size";
import { clockValues } from "./clock";
import { cssColor } from "./colors";
import { LAYERS, stacked, type Histogram as Data } from "./histogram-data";
import styles from "./Histogram.module.css";

type Props = { data: Data; /** What stands before the legend. */ lead?: ReactNode; onZoom(from: number, to: number): void };
const HEIGHT = 104;

/** Calls over time by status class. Drag or Shift with arrows and Enter to zoom; the same figures as a table. */
export function Histogram({ data, lead, onZoom }: Props) {
  const [asTable, setAsTable] = useState(false);
  const [cursor, setCursor] = useState<number | null>(null);
  const [anchor, setAnchor] = useState<number | null>(null);
  const { zone } = useSettings();
  const figure = useRef<HTMLDivElement>(null);
  const width = useWidth(figure);
  const present = LAYERS.flatMap((layer, at) => (data.counts[at]!.some((count) => count > 0) ? [{ ...layer, sum: data.counts[at]!.reduce((a, b) => a + b, 0) }] : []));

  const onKeyDown = (event: KeyboardEvent) => {
    const last = data.starts.length - 1;
    const at = cursor ?? (event.key === "ArrowLeft" ? last + 1 : -1);
    const moves: Record<string, number> = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last, PageUp: at - 10, PageDown: at + 10 };
    const next = moves[event.key];
    if (next !== undefined) {
      setAnchor(event.shiftKey ? (anchor ?? Math.max(0, Math.min(last, at))) : null);
      setCursor(Math.max(0, Math.min(last, next)));
    } else if (event.key === "Enter" && cursor !== null) {
      const [low, high] = [Math.min(cursor, anchor ?? cursor), Math.max(cursor, anchor ?? cursor)];
      onZoom(data.starts[low]!, data.starts[high]! + data.intervalMs);
      setAnchor(null);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };

  return (
    <section className={styles.section} aria-label="Calls over time">
      <div className={styles.head}>
        {lead}
        <p className={styles.legend}>
          <span className="muted">per {formatInterval(data.intervalMs)}</span>
          {present.map((layer) => (
            <span key={layer.name} className={styles.key}>
              <i style={{ background: `var(${layer.color})` }} aria-hidden="true" />
              {layer.name} <span className="num muted">{formatShort(layer.sum)}</span>
            </span>
          ))}
        </p>
        <p className={styles.read} aria-live="polite">{cursor !== null && cursor < data.starts.length ? columnText(data, cursor, anchor, zone) : ""}</p>
        <Button look="quiet" aria-pressed={asTable} onClick={() => setAsTable(!asTable)} className={styles.toggle}>{asTable ? "Show as chart" : "Show as table"}</Button>
      </div>
      <div ref={figure} className={styles.figure}>
        {asTable ? (
          <HistogramTable data={data} zone={zone} />
        ) : (
          <div role="application" tabIndex={0} aria-roledescription="chart" aria-label={summary(data, present, zone)} onKeyDown={onKeyDown} onBlur={() => { setCursor(null); setAnchor(null); }} className={styles.chart}>
            {width > 0 && <Plot data={data} width={width} zone={zone} cursor={cursor} anchor={anchor} onCursor={setCursor} onZoom={onZoom} />}
          </div>
        )}
      </div>
    </section>
  );
}

function summary(data: Data, present: { name: string; sum: number }[], zone: Zone): string {
  const total = present.reduce((sum, layer) => sum + layer.sum, 0);
  if (total === 0) return "Calls over time: none.";
  const peak = data.totals.indexOf(Math.max(...data.totals));
  const parts = present.map((layer) => `${formatCount(layer.sum)} ${layer.name}`).join(", ");
  return `Calls over time: ${formatCount(total)}, of them ${parts}. Most, ${formatCount(data.totals[peak]!)}, at ${formatInstant(data.starts[peak]!, zone, Date.now())}. Arrows read columns, Shift and arrows select, Enter zooms.`;
}

function columnText(data: Data, cursor: number, anchor: number | null, zone: Zone): string {
  const low = Math.min(cursor, anchor ?? cursor);
  const high = Math.max(cursor, anchor ?? cursor);
  const clock = (instant: number) => formatInstant(instant, zone, Date.now()).replace(/\.000$/, "");
  const parts = LAYERS.flatMap((layer, at) => {
    const sum = data.counts[at]!.slice(low, high + 1).reduce((a, b) => a + b, 0);
    return sum > 0 ? [`${layer.name} ${formatCount(sum)}`] : [];
  });
  return `${clock(data.starts[low]!)} – ${clock(data.starts[high]! + data.intervalMs)}: ${parts.join(", ") || "no calls"}`;
}

type PlotProps = Omit<Props, "lead"> & { width: number; zone: Zone; cursor: number | null; anchor: number | null; onCursor(at: number | null): void };

function Plot({ data, width, zone, cursor, anchor, onCursor, onZoom }: PlotProps) {
  const element = useRef<HTMLDivElement>(null);
  const plot = useRef<UPlot | null>(null);
  const handlers = useRef({ onCursor, onZoom });
  handlers.current = { onCursor, onZoom };
  const selected = useRef(false);
  const { theme } = useSettings();
  const dark = isDark();
  const aligned = useMemo(() => {
    const sums = stacked(data.counts);
    // The tallest first: each lower sum is drawn over the one before.
    return [data.starts.map((start) => start / 1000), ...[...sums].reverse()] as UPlot.AlignedData;
  }, [data]);

  useEffect(() => {
    const bars = UPlot.paths.bars!({ size: [0.86, 60], align: 1, radius: 0 });
    const grid = { stroke: cssColor("--line"), width: 1 };
    const text = cssColor("--muted");
    const toDate = (seconds: number) => (zone === "UTC" ? UPlot.tzDate(new Date(seconds * 1000), "Etc/UTC") : new Date(seconds * 1000));
    const made = new UPlot(
      {
        width,
        height: HEIGHT,
        padding: [6, 0, 0, 0],
        legend: { show: false },
        cursor: { y: false, points: { show: false }, drag: { x: true, y: false, setScale: false } },
        tzDate: toDate,
        scales: {
          x: { time: true, range: () => [Math.min(data.from, data.starts[0] ?? data.from) / 1000, data.to / 1000] },
          y: { range: (_, __, max) => [0, Math.max(1, max * 1.06)] },
        },
        axes: [
          { stroke: text, grid: { show: false }, ticks: grid, size: 26, font: "11px system-ui, sans-serif", space: 70, values: (_, splits, _axis, _space, step) => clockValues(splits, step, toDate) },
          { stroke: text, grid, ticks: { show: false }, size: 46, font: "11px system-ui, sans-serif", space: 28, values: (_, values) => values.map((value) => (Number.isInteger(value) ? formatShort(value) : "")) },
        ],
        series: [
          {},
          ...[...LAYERS].reverse().map((layer) => ({ label: layer.name, fill: cssColor(layer.color), stroke: "transparent", width: 0, paths: bars, points: { show: false } })),
        ],
        hooks: {
          setCursor: [(u) => handlers.current.onCursor(u.cursor.idx ?? null)],
          setSelect: [
            (u) => {
              if (u.select.width < 4) return;
              const from = u.posToVal(u.select.left, "x") * 1000;
              const to = u.posToVal(u.select.left + u.select.width, "x") * 1000;
              u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
              handlers.current.onZoom(Math.round(from), Math.round(to));
            },
          ],
        },
      },
      aligned,
      element.current!,
    );
    plot.current = made;
    return () => {
      made.destroy();
      plot.current = null;
    };
    // The chart is made anew for another theme, zone or answer: it holds at most 2,000 columns.
  }, [aligned, data, width, zone, theme, dark]);

  useEffect(() => {
    const u = plot.current;
    if (!u) return;
    if (anchor === null || cursor === null) {
      // Only what was selected by keyboard is taken away: the pointer may be dragging now.
      if (selected.current) u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
      selected.current = false;
      return;
    }
    selected.current = true;
    const x = (at: number) => u.valToPos(data.starts[at]! / 1000, "x");
    const left = x(Math.min(anchor, cursor));
    const step = (data.intervalMs / (data.to - data.from)) * u.over.clientWidth;
    u.setSelect({ left, top: 0, width: x(Math.max(anchor, cursor)) + step - left, height: u.over.clientHeight }, false);
  }, [cursor, anchor, data]);

  return <div ref={element} className={styles.plot} aria-hidden="true" />;
}

function HistogramTable({ data, zone }: { data: Data; zone: Zone }) {
  const now = Date.now();
  const used = LAYERS.map((layer, at) => ({ ...layer, at })).filter(({ at }) => data.counts[at]!.some((count) => count > 0));
  const rows = data.starts.map((start, at) => ({ start, at })).filter(({ at }) => data.totals[at]! > 0);
  return (
    <div className={styles.table} tabIndex={0} role="region" aria-label="Calls over time as a table">
      <table>
        <thead><tr><th scope="col">from</th>{used.map((layer) => <th key={layer.name} scope="col">{layer.name}</th>)}<th scope="col">all</th></tr></thead>
        <tbody>
          {rows.map(({ start, at }) => (
            <tr key={start}>
              <th scope="row">{formatInstant(start, zone, now)}</th>
              {used.map((layer) => <td key={layer.name}>{formatCount(data.counts[layer.at]![at]!)}</td>)}
              <td>{formatCount(data.totals[at]!)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
