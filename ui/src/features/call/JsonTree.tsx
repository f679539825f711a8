import * as Menu from "@radix-ui/react-dropdown-menu";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef, useState, type KeyboardEvent } from "react";
import { Captured } from "../../components/Captured";
import menu from "../../components/Menu.module.css";
import { toast } from "../../components/Toasts";
import { copyText } from "../../lib/clipboard";
import { fieldPath, findNodes, keyOf, NodeKind, openRows, valueOf, type JsonTape } from "../../lib/json-tape";
import styles from "./JsonTree.module.css";

export type TreeFilter = (field: string, value: string | null, without: boolean) => void;

type Props = { tape: JsonTape; /** Where its members are found as query fields: `response.body`. */ family: string; find: string; hit: number; onHits(count: number): void; onFilter: TreeFilter; label: string };

const ROW = 21;
/** Open at first: everything of a small document, the outer levels of a large one. */
const SMALL = 300;
const LONGEST = 400;

/** A JSON document as a tree. Only what is in sight exists, so its size does not matter. */
export function JsonTree({ tape, family, find, hit, onHits, onFilter, label }: Props) {
  const [toggled, setToggled] = useState<ReadonlyMap<number, boolean>>(new Map());
  const [focus, setFocus] = useState(0);
  const scroller = useRef<HTMLDivElement>(null);
  const wantsFocus = useRef(false);
  const usual = useMemo(() => (node: number) => tape.count <= SMALL || tape.depth[node]! < 2, [tape]);
  const isOpen = (node: number) => toggled.get(node) ?? usual(node);
  const rows = useMemo(() => openRows(tape, (node) => toggled.get(node) ?? usual(node)), [tape, toggled, usual]);
  const hits = useMemo(() => findNodes(tape, find), [tape, find]);
  const virtual = useVirtualizer({ count: rows.length, getScrollElement: () => scroller.current, estimateSize: () => ROW, overscan: 15 });

  useEffect(() => onHits(hits.length), [hits, onHits]);
  const target = hits.length > 0 ? hits[((hit % hits.length) + hits.length) % hits.length]! : -1;
  useEffect(() => {
    if (target < 0) return;
    setToggled((before) => {
      const next = new Map(before);
      for (let at = tape.parent[target]!; at >= 0; at = tape.parent[at]!) next.set(at, true);
      return next;
    });
  }, [target, tape]);
  useEffect(() => {
    const at = target < 0 ? -1 : rows.indexOf(target);
    if (at >= 0) virtual.scrollToIndex(at, { align: "center" });
  }, [target, rows, virtual]);

  const toggle = (node: number, open = !isOpen(node)) => setToggled((before) => new Map(before).set(node, open));
  const goTo = (at: number) => {
    const to = Math.max(0, Math.min(rows.length - 1, at));
    setFocus(to);
    wantsFocus.current = true;
    virtual.scrollToIndex(to, { align: "auto" });
  };
  useEffect(() => {
    if (!wantsFocus.current) return;
    const item = scroller.current?.querySelector<HTMLElement>('[role="treeitem"][tabindex="0"]');
    item?.focus({ preventScroll: true });
    if (item) wantsFocus.current = false;
  });
  const onKeyDown = (event: KeyboardEvent) => {
    const node = rows[focus];
    if (node === undefined || (event.target as HTMLElement).getAttribute("role") !== "treeitem") return;
    const holds = tape.kind[node]! <= NodeKind.Array;
    if (event.key === "ArrowDown") goTo(focus + 1);
    else if (event.key === "ArrowUp") goTo(focus - 1);
    else if (event.key === "Home") goTo(0);
    else if (event.key === "End") goTo(rows.length - 1);
    else if (event.key === "ArrowRight" && holds) isOpen(node) ? goTo(focus + 1) : toggle(node, true);
    else if (event.key === "ArrowLeft") holds && isOpen(node) ? toggle(node, false) : goTo(rows.indexOf(tape.parent[node]!));
    else if (event.key === "Enter" || event.key === " ") holds ? toggle(node) : (event.currentTarget.querySelector(`[data-node="${node}"] button[aria-haspopup]`) as HTMLElement | null)?.click();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  return (
    <div ref={scroller} className={styles.tree} style={{ height: `min(58vh, ${rows.length * ROW + 12}px)` }}>
      <div role="tree" aria-label={label} onKeyDown={onKeyDown} style={{ height: virtual.getTotalSize(), position: "relative" }}>
        {virtual.getVirtualItems().map((item) => {
          const node = rows[item.index]!;
          const holds = tape.kind[node]! <= NodeKind.Array;
          const key = keyOf(tape, node);
          return (
            <div
              key={node} data-node={node} role="treeitem" aria-level={tape.depth[node]! + 1} aria-expanded={holds ? isOpen(node) : undefined} tabIndex={item.index === Math.min(focus, rows.length - 1) ? 0 : -1}
              className={node === target ? `${styles.row} ${styles.hit}` : styles.row} style={{ transform: `translateY(${item.start}px)`, paddingLeft: 20 + Math.min(tape.depth[node]!, 40) * 14 }}
              onFocus={(event) => event.target === event.currentTarget && setFocus(item.index)}
            >
              {holds && tape.size[node]! > 0 && <button type="button" tabIndex={-1} className={styles.twist} aria-hidden="true" onClick={() => toggle(node)}>{isOpen(node) ? "▾" : "▸"}</button>}
              {key !== null && <><KeyMenu tape={tape} node={node} name={key} family={family} find={find} onFilter={onFilter} /><span className={styles.colon}>: </span></>}
              <Value tape={tape} node={node} open={isOpen(node)} find={find} />
            </div>
          );
        })}
      </div>
    </div>
  );
}

function Value({ tape, node, open, find }: { tape: JsonTape; node: number; open: boolean; find: string }) {
  const kind = tape.kind[node]!;
  const size = tape.size[node]!;
  if (kind === NodeKind.Object) return <span className={styles.holder}>{size === 0 ? "{}" : open ? "{" : `{ ${size} ${size === 1 ? "member" : "members"} }`}</span>;
  if (kind === NodeKind.Array) return <span className={styles.holder}>{size === 0 ? "[]" : open ? `[ ${size}` : `[ ${size} ${size === 1 ? "element" : "elements"} ]`}</span>;
  const text = valueOf(tape, node);
  const shown = text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
  if (kind === NodeKind.String) return <span className={styles.string} title={text.length > 60 ? `${text.length} characters` : undefined}>“<Captured text={shown} find={find} />”</span>;
  return <span className={kind === NodeKind.Number ? styles.number : styles.literal}><Captured text={shown} find={find} /></span>;
}

function KeyMenu({ tape, node, name, family, find, onFilter }: { tape: JsonTape; node: number; name: string; family: string; find: string; onFilter: TreeFilter }) {
  const field = `${family}.${fieldPath(tape, node)}`;
  const leaf = tape.kind[node]! > NodeKind.Array;
  const isNull = tape.kind[node] === NodeKind.Literal && tape.text.startsWith("null", tape.start[node]);
  const value = valueOf(tape, node);
  const short = value.length > 40 ? `${value.slice(0, 40)}…` : value;
  // A name with spaces or quotes cannot be written as a field.
  const askable = /^[\w.\-\\]+$/.test(field);
  return (
    <Menu.Root>
      <Menu.Trigger className={styles.key} tabIndex={-1}><Captured text={name} find={find} /></Menu.Trigger>
      <Menu.Portal>
        <Menu.Content className={menu.menu} align="start" collisionPadding={8}>
          <Menu.Label className={menu.label}><Captured text={field} /></Menu.Label>
          {leaf && askable && !isNull && <Menu.Item className={menu.item} onSelect={() => onFilter(field, value, false)}>Only <Captured text={short} /></Menu.Item>}
          {leaf && askable && !isNull && <Menu.Item className={menu.item} onSelect={() => onFilter(field, value, true)}>Without <Captured text={short} /></Menu.Item>}
          {askable && <Menu.Item className={menu.item} onSelect={() => onFilter(field, null, true)}>Only calls that have it</Menu.Item>}
          <Menu.Item className={menu.item} onSelect={() => void copyText(value).then(() => toast("Value copied"))}>Copy value</Menu.Item>
          <Menu.Item className={menu.item} onSelect={() => void copyText(field).then(() => toast("Field name copied"))}>Copy field name</Menu.Item>
        </Menu.Content>
      </Menu.Portal>
    </Menu.Root>
  );
}
