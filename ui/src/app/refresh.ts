/** How often the reader asked for fresh answers. Part of query keys, so that old answers stay until new ones are here. */
import { useSyncExternalStore } from "react";

let count = 0;
const listeners = new Set<() => void>();

export function refresh(): void {
  count += 1;
  for (const listener of listeners) listener();
}

export function useRefreshCount(): number {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => count,
  );
}
