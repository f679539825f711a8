import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useRef, useState, type KeyboardEvent, type PointerEvent } from "react";
import { ApiError, getExchange } from "../../api/client";
import { useKeys } from "../../app/keys";
import { Button } from "../../components/Button";
import { ErrorNotice } from "../../components/ErrorNotice";
import { Notice } from "../../components/Notice";
import { useDelayed } from "../../lib/use-delayed";
import styles from "./CallPanel.module.css";
import { CallView } from "./CallView";
import type { TreeFilter } from "./JsonTree";

export function useCall(id: string) {
  return useQuery({ queryKey: ["exchange", id], queryFn: ({ signal }) => getExchange(id, signal), staleTime: Infinity, placeholderData: keepPreviousData });
}

/** Ctrl F goes to the find field of the body in sight. */
export function useFindKey(): void {
  useKeys({
    "Mod+f": () => {
      const fields = [...document.querySelectorAll<HTMLInputElement>("input[data-find]")];
      const field = fields.find((one) => one.dataset.find === "response") ?? fields[0];
      if (!field) return false;
      field.focus();
      field.select();
    },
  });
}

const MIN = 380;
const usualWidth = () => Math.max(MIN, Math.min(860, Math.round(innerWidth * 0.54)));

type Props = { id: string; onClose(): void; onStep(by: number): void; onExpand(): void; onFilter: TreeFilter };

/** One call at the right of the list. Its left edge can be dragged, or moved with the arrow keys. */
export function CallPanel({ id, onClose, onStep, onExpand, onFilter }: Props) {
  const call = useCall(id);
  const [width, setWidth] = useState(usualWidth);
  const drag = useRef<{ x: number; width: number } | null>(null);
  const stale = useDelayed(call.isPlaceholderData);
  useFindKey();
  const resize = (wanted: number) => setWidth(Math.max(MIN, Math.min(innerWidth - 320, wanted)));
  const onPointerDown = (event: PointerEvent<HTMLDivElement>) => {
    event.currentTarget.setPointerCapture(event.pointerId);
    drag.current = { x: event.clientX, width };
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "ArrowLeft") resize(width + 40);
    else if (event.key === "ArrowRight") resize(width - 40);
    else return;
    event.preventDefault();
  };
  const controls = (
    <div className={styles.controls}>
      <Button look="quiet" icon="left" label="Previous call" shortcut="k" onClick={() => onStep(-1)} />
      <Button look="quiet" icon="right" label="Next call" shortcut="j" onClick={() => onStep(1)} />
      <Button look="quiet" icon="open" label="Open on its own page" onClick={onExpand} />
      <Button look="quiet" icon="close" label="Close" shortcut="Esc" onClick={onClose} />
    </div>
  );
  return (
    <aside className={styles.panel} style={{ "--width": `${width}px` } as never} aria-label="One call">
      <div
        className={styles.edge} role="separator" aria-orientation="vertical" aria-label="Width of the call" aria-valuenow={width} aria-valuemin={MIN} aria-valuemax={Math.max(MIN, innerWidth - 320)} tabIndex={0} onKeyDown={onKeyDown}
        onPointerDown={onPointerDown} onPointerMove={(event) => drag.current && resize(drag.current.width + drag.current.x - event.clientX)} onPointerUp={() => (drag.current = null)} onPointerCancel={() => (drag.current = null)}
      />
      <div className={stale ? `${styles.content} ${styles.stale}` : styles.content}>
        {call.error && <><div className={styles.bare}>{controls}</div><CallError error={call.error} onRetry={() => void call.refetch()} /></>}
        {!call.error && call.data && <CallView key={call.data.id} call={call.data} onFilter={onFilter} controls={controls} heading="h2" />}
      </div>
    </aside>
  );
}

export function CallError({ error, onRetry }: { error: Error; onRetry(): void }) {
  if (error instanceof ApiError && error.status === 404) {
    return <Notice title="This call is not here"><p>It was never kept, or it is older than what is kept.</p></Notice>;
  }
  return <ErrorNotice error={error} onRetry={onRetry} />;
}
