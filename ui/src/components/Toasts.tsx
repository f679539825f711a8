/** Short messages at the foot of the page, read out politely. */
import { useSyncExternalStore } from "react";
import styles from "./Toasts.module.css";

type Toast = { id: number; text: string };

let toasts: Toast[] = [];
let nextId = 1;
const listeners = new Set<() => void>();

function set(changed: Toast[]): void {
  toasts = changed;
  for (const listener of listeners) listener();
}

export function toast(text: string): void {
  const id = nextId++;
  set([...toasts.slice(-2), { id, text }]);
  setTimeout(() => set(toasts.filter((one) => one.id !== id)), 3500);
}

export function Toasts() {
  const shown = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => toasts,
  );
  return (
    <div className={styles.toasts} role="status" aria-live="polite">
      {shown.map((one) => (
        <div key={one.id} className={styles.toast}>{one.text}</div>
      ))}
    </div>
  );
}
