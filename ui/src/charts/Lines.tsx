import "uplot/dist/uPlot.min.css";
import { useEffect, useMemo, useRef, useState, type KeyboardEvent } from "react";
import UPlot from "uplot";
import { isDark, useSettings } from "../app/settings";
import { Button } from "../components/Button";
import { Captured, capturedTitle } from "../components/Captured";
import { formatInterval } from "../lib/numbers";
import { formatInstant, type Zone } from "../lib/time";
import { useWidth } from "../lib/use-size";
import { clockValues } from "./clock";
import { cssColor } from "./colors";
import styles from "./Histogram.module.css";
import { lonely } from "./lines-data";

export type LinesData = {
  intervalMs: number;
  /** Start of each column, in epoch milliseconds. */
  starts: number[];
  from: number;
  to: number;
  series: { name: string; color: string; /** Null where there is nothing to measure. */ values: (number | null)[] }[];
};

type Props = { data: LinesData; title: string; /** Pixels. */ height?: number; format(value: number): string; onZoom(from: number, to: number): void };
const HEIGHT = 104;

/** A few measures over time. Arrows read columns, drag zooms; the same figures as a table. */
export function Lines({ data, title, height = HEIGHT, format, onZoom }: Props) {
  const [asTable, setAsTable] = useState(false);
  const [cursor, setCursor] = useState<number | null>(null);
  const { zone } = useSettings();
  const figure = useRef<HTMLDivElement>(null);
  const width = useWidth(figure);
  const onKeyDown = (event: KeyboardEvent) => {
    const last = data.starts.length - 1;
    const at = cursor ?? (event.key === "ArrowLeft" ? last + 1 : -1);
    const next = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last, PageUp: at - 10, PageDown: at + 10 }[event.key];
    if (next !== undefined) setCursor(Math.max(0, Math.min(last, next)));
    else if (event.key === "Enter" && cursor !== null) onZoom(data.starts[cursor]!, data.starts[cursor]! + data.intervalMs);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <section className={styles.section} aria-label={title}>
      <div className={styles.head}>
        <p className={styles.legend}>
          <span className="muted">per {formatInterval(data.intervalMs)}</span>
          {data.series.map((line) => <span key={line.name} className={styles.key}><i style={{ background: `var(${line.color})` }} aria-hidden="true" /><Captured text={line.name} /></span>)}
        </p>
        <p className={styles.read} aria-live="polite">{cursor !== null && cursor < data.starts.length ? columnText(data, cursor, zone, format) : ""}</p>
        <Button look="quiet" aria-pressed={asTable} onClick={() => setAsTable(!asTable)} className={styles.toggle}>{asTable ? "Show as chart" : "Show as table"}</Button>
      </div>
      <div ref={figure} className={styles.figure} style={{ height }}>
        {asTable ? (
          <LinesTable data={data} title={title} height={height} zone={zone} format={format} />
        ) : (
          <div role="application" tabIndex={0} aria-roledescription="chart" aria-label={summary(data, title, format)} onKeyDown={onKeyDown} onBlur={() => setCursor(null)} className={styles.chart} style={{ height }}>
            {width > 0 && <Plot data={data} width={width} height={height} zone={zone} format={format} onCursor={setCursor} onZoom={onZoom} />}
          </div>
        )}
      </div>
    </section>
  );
}

function summary(data: LinesData, title: string, format: (value: number) => string): string {
  const parts = data.series.flatMap((line) => {
    const known = line.values.filter((value) => value !== null);
    return known.length === 0 ? [] : [`${capturedTitle(line.name)} up to ${format(Math.max(...known))}`];
  });
  return parts.length === 0 ? `${title}: nothing to measure.` : `${title}: ${parts.join(", ")}. Arrows read columns, Enter zooms.`;
}

function columnText(data: LinesData, at: number, zone: Zone, format: (value: number) => string): string {
  const parts = data.series.flatMap((line) => (line.values[at] === null || line.values[at] === undefined ? [] : [`${capturedTitle(line.name)} ${format(line.values[at]!)}`]));
  return `${formatInstant(data.starts[at]!, zone, Date.now()).replace(/\.000$/, "")}: ${parts.join(", ") || "no calls"}`;
}

function Plot({ data, width, height, zone, format, onCursor, onZoom }: Omit<Props, "title" | "height"> & { width: number; height: number; zone: Zone; onCursor(at: number | null): void }) {
  const element = useRef<HTMLDivElement>(null);
  const handlers = useRef({ onCursor, onZoom, format });
  handlers.current = { onCursor, onZoom, format };
  const { theme } = useSettings();
  const dark = isDark();
  const aligned = useMemo(() => [data.starts.map((start) => start / 1000), ...data.series.map((line) => line.values)] as UPlot.AlignedData, [data]);
  useEffect(() => {
    const grid = { stroke: cssColor("--line"), width: 1 };
    const text = cssColor("--muted");
    const font = "11px system-ui, sans-serif";
    const toDate = (seconds: number) => (zone === "UTC" ? UPlot.tzDate(new Date(seconds * 1000), "Etc/UTC") : new Date(seconds * 1000));
    const made = new UPlot(
      {
        width, height, padding: [6, 0, 0, 0], legend: { show: false },
        cursor: { y: false, points: { size: 6 }, drag: { x: true, y: false, setScale: false } },
        tzDate: toDate,
        scales: { x: { time: true, range: () => [data.from / 1000, data.to / 1000] }, y: { range: (_, __, max) => [0, Math.max(0.001, max * 1.06)] } },
        axes: [
          { stroke: text, grid: { show: false }, ticks: grid, size: 26, font, space: 70, values: (_, splits, _axis, _space, step) => clockValues(splits, step, toDate) },
          { stroke: text, grid, ticks: { show: false }, size: 56, font, space: 28, values: (_, values) => values.map((value) => handlers.current.format(value)) },
        ],
        series: [{}, ...data.series.map((line) => ({ label: line.name, stroke: cssColor(line.color), width: 1.6, points: { show: false, filter: lonely(line.values), size: 5 } }))],
        hooks: {
          setCursor: [(u) => handlers.current.onCursor(u.cursor.idx ?? null)],
          setSelect: [(u) => {
            if (u.select.width < 4) return;
            const at = (left: number) => Math.round(u.posToVal(left, "x") * 1000);
            const [from, to] = [at(u.select.left), at(u.select.left + u.select.width)];
            u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
            handlers.current.onZoom(from, to);
          }],
        },
      },
      aligned,
      element.current!,
    );
    return () => made.destroy();
  }, [aligned, data, width, height, zone, theme, dark]);
  return <div ref={element} className={styles.plot} style={{ height }} aria-hidden="true" />;
}

function LinesTable({ data, title, height, zone, format }: Omit<Props, "onZoom"> & { zone: Zone }) {
  const now = Date.now();
  const rows = data.starts.map((start, at) => ({ start, at })).filter(({ at }) => data.series.some((line) => line.values[at] !== null));
  return (
    <div className={styles.table} style={{ height }} tabIndex={0} role="region" aria-label={`${title} as a table`}>
      <table>
        <thead><tr><th scope="col">from</th>{data.series.map((line) => <th key={line.name} scope="col"><Captured text={line.name} /></th>)}</tr></thead>
        <tbody>
          {rows.map(({ start, at }) => (
            <tr key={start}>
              <th scope="row">{formatInstant(start, zone, now)}</th>
              {data.series.map((line) => <td key={line.name}>{line.values[at] === null ? "–" : format(line.values[at]!)}</td>)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
