import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef } from "react";
import { Captured } from "../../components/Captured";
import { useWidth } from "../../lib/use-size";
import { findAll, wrapLines } from "./body-data";
import styles from "./TextView.module.css";

const ROW = 19;
const CHARACTER = 7.23;

/** A text as it is, line by line, wrapped; only the rows in sight exist. */
export function TextView({ text, find, hit, onHits, label }: { text: string; find: string; hit: number; onHits(count: number): void; label: string }) {
  const scroller = useRef<HTMLDivElement>(null);
  const width = useWidth(scroller);
  const columns = Math.max(24, Math.floor((width - 58) / CHARACTER));
  const rows = useMemo(() => wrapLines(text, columns), [text, columns]);
  const hits = useMemo(() => findAll(text, find), [text, find]);
  const virtual = useVirtualizer({ count: rows.length, getScrollElement: () => scroller.current, estimateSize: () => ROW, overscan: 15 });
  useEffect(() => onHits(hits.length), [hits, onHits]);
  const target = hits.length > 0 ? hits[((hit % hits.length) + hits.length) % hits.length]! : -1;
  useEffect(() => {
    if (target < 0) return;
    const at = rows.findIndex((row) => target < row.end || (target === row.end && row.start === row.end));
    if (at >= 0) virtual.scrollToIndex(at, { align: "center" });
  }, [target, rows, virtual]);
  return (
    <div ref={scroller} className={styles.text} tabIndex={0} role="region" aria-label={label} style={{ height: `min(58vh, ${rows.length * ROW + 14}px)` }}>
      <div style={{ height: virtual.getTotalSize(), position: "relative" }}>
        {virtual.getVirtualItems().map((item) => {
          const row = rows[item.index]!;
          const isTarget = target >= row.start && target < row.end;
          return (
            <div key={item.key} className={isTarget ? `${styles.row} ${styles.hit}` : styles.row} style={{ transform: `translateY(${item.start}px)` }}>
              <span className={styles.line} aria-hidden="true">{row.line || ""}</span>
              <Captured text={text.slice(row.start, row.end)} find={find} lines />
            </div>
          );
        })}
      </div>
    </div>
  );
}

/** Bytes as figures and as characters. */
export function HexView({ bytes, label }: { bytes: Uint8Array; label: string }) {
  const scroller = useRef<HTMLDivElement>(null);
  const width = useWidth(scroller);
  const perRow = width > 600 ? 16 : 8;
  const count = Math.ceil(bytes.length / perRow);
  const virtual = useVirtualizer({ count, getScrollElement: () => scroller.current, estimateSize: () => ROW, overscan: 15 });
  return (
    <div ref={scroller} className={styles.text} tabIndex={0} role="region" aria-label={label} style={{ height: `min(58vh, ${count * ROW + 14}px)` }}>
      <div style={{ height: virtual.getTotalSize(), position: "relative" }}>
        {virtual.getVirtualItems().map((item) => {
          const part = [...bytes.subarray(item.index * perRow, (item.index + 1) * perRow)];
          return (
            <div key={item.key} className={styles.row} style={{ transform: `translateY(${item.start}px)` }}>
              <span className={styles.line}>{(item.index * perRow).toString(16).padStart(6, "0")}</span>
              <span>{part.map((byte) => byte.toString(16).padStart(2, "0")).join(" ").padEnd(perRow * 3)}</span>
              <span className={styles.characters}>{part.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "·")).join("")}</span>
            </div>
          );
        })}
      </div>
    </div>
  );
}
