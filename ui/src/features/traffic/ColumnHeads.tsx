import * as Menu from "@radix-ui/react-dropdown-menu";
import { useRef, useState, type PointerEvent } from "react";
import menu from "../../components/Menu.module.css";
import { Icon } from "../../components/Icon";
import styles from "./ColumnHeads.module.css";
import { COLUMNS, type Shown } from "./columns";

/** The heads of the list. Drag an edge to resize, drag a head to move it; its menu does both by keyboard. */
export function ColumnHeads({ columns, onChange }: { columns: Shown[]; onChange(columns: Shown[]): void }) {
  const [dragged, setDragged] = useState<number | null>(null);
  const [target, setTarget] = useState<number | null>(null);
  const move = (from: number, to: number) => {
    if (to < 0 || to >= columns.length || from === to) return;
    const moved = [...columns];
    moved.splice(to, 0, ...moved.splice(from, 1));
    onChange(moved);
  };
  const resize = (at: number, width: number) => onChange(columns.map((column, index) => (index === at ? { ...column, width: Math.max(40, Math.min(1200, Math.round(width))), fixed: true } : column)));
  return (
    <div role="rowgroup" className={styles.heads}>
      <div role="row" aria-rowindex={1} className={styles.row}>
        {columns.map((column, at) => (
          <div
            key={column.key} role="columnheader" aria-colindex={at + 1} aria-sort={column.key === "time" ? "descending" : undefined}
            className={[styles.head, column.right && styles.right, target === at && dragged !== null && dragged !== at && styles.target].filter(Boolean).join(" ")}
            draggable onDragStart={(event) => { setDragged(at); event.dataTransfer.effectAllowed = "move"; event.dataTransfer.setData("text/plain", column.key); }}
            onDragOver={(event) => { if (dragged !== null) { event.preventDefault(); setTarget(at); } }}
            onDrop={(event) => { event.preventDefault(); if (dragged !== null) move(dragged, at); setDragged(null); setTarget(null); }}
            onDragEnd={() => { setDragged(null); setTarget(null); }}
          >
            <HeadMenu column={column} at={at} columns={columns} onChange={onChange} move={move} resize={resize} />
            <Grip onResize={(width) => resize(at, width)} />
          </div>
        ))}
      </div>
    </div>
  );
}

type MenuProps = { column: Shown; at: number; columns: Shown[]; onChange(columns: Shown[]): void; move(from: number, to: number): void; resize(at: number, width: number): void };

function HeadMenu({ column, at, columns, onChange, move, resize }: MenuProps) {
  const stay = (action: () => void) => (event: Event) => {
    event.preventDefault();
    action();
  };
  return (
    <Menu.Root>
      <Menu.Trigger className={styles.name} title={`${column.title}: column menu`}>
        {column.title}
        {column.key === "time" && <Icon name="down" size={11} />}
      </Menu.Trigger>
      <Menu.Portal>
        <Menu.Content className={menu.menu} align="start" sideOffset={4} collisionPadding={8}>
          <Menu.Item className={menu.item} disabled={at === 0} onSelect={() => move(at, at - 1)}>Move left</Menu.Item>
          <Menu.Item className={menu.item} disabled={at === columns.length - 1} onSelect={() => move(at, at + 1)}>Move right</Menu.Item>
          <Menu.Item className={menu.item} onSelect={stay(() => resize(at, column.width + 24))}>Wider</Menu.Item>
          <Menu.Item className={menu.item} onSelect={stay(() => resize(at, column.width - 24))}>Narrower</Menu.Item>
          <Menu.Item className={menu.item} disabled={columns.length === 1} onSelect={() => onChange(columns.filter((_, index) => index !== at))}>Hide</Menu.Item>
          <Menu.Separator className={menu.separator} />
          <ColumnChoice columns={columns} onChange={onChange} />
        </Menu.Content>
      </Menu.Portal>
    </Menu.Root>
  );
}

/** All columns with a tick before those shown; for use inside a menu. */
export function ColumnChoice({ columns, onChange }: { columns: Shown[]; onChange(columns: Shown[]): void }) {
  const shown = new Set(columns.map((column) => column.key));
  return (
    <>
      <Menu.Label className={menu.label}>Columns</Menu.Label>
      {COLUMNS.map((column) => (
        <Menu.CheckboxItem
          key={column.key} className={menu.item} checked={shown.has(column.key)} onSelect={(event) => event.preventDefault()}
          onCheckedChange={(on) => {
            const next = on ? [...columns, { ...column, fixed: false }] : columns.filter((one) => one.key !== column.key);
            if (next.length > 0) onChange(next);
          }}
        >
          <Menu.ItemIndicator className={menu.tick}><Icon name="check" size={13} /></Menu.ItemIndicator>
          {column.title}
        </Menu.CheckboxItem>
      ))}
    </>
  );
}

/** The edge of a head: the pointer sets the width. The menu's Wider and Narrower are the keyboard's way. */
function Grip({ onResize }: { onResize(width: number): void }) {
  const start = useRef<{ x: number; width: number } | null>(null);
  const onPointerDown = (event: PointerEvent<HTMLSpanElement>) => {
    event.preventDefault();
    event.stopPropagation();
    event.currentTarget.setPointerCapture(event.pointerId);
    start.current = { x: event.clientX, width: event.currentTarget.parentElement!.offsetWidth };
  };
  return (
    <span
      className={styles.grip} aria-hidden="true" draggable={false} onPointerDown={onPointerDown}
      onPointerMove={(event) => start.current && onResize(start.current.width + event.clientX - start.current.x)}
      onPointerUp={() => (start.current = null)} onPointerCancel={() => (start.current = null)}
    />
  );
}
