import { ApiError } from "../api/client";
import { Button } from "./Button";
import { Captured } from "./Captured";
import styles from "./ErrorNotice.module.css";
import { Icon } from "./Icon";

/** What failed, the request's id, and a way to try again. */
export function ErrorNotice({ error, onRetry, busy }: { error: unknown; onRetry?(): void; busy?: boolean }) {
  const api = error instanceof ApiError ? error : null;
  const title = api?.offline ? "weir does not answer. Trying again…" : (api?.problem.title ?? "Something failed");
  const detail = api?.offline ? null : (api?.problem.detail || (error instanceof Error && !api ? error.message : null));
  return (
    <div className={styles.error} role="alert">
      <Icon name="warn" />
      <div>
        <strong>{title}</strong>
        {detail && <p><Captured text={detail} /></p>}
        {api?.requestId && <p className={styles.id}>request <code>{api.requestId}</code></p>}
      </div>
      {onRetry && <Button onClick={onRetry} disabled={busy}>Try again</Button>}
    </div>
  );
}
