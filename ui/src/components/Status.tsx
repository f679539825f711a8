import { memo } from "react";
import type { StatusClass } from "../api/types";
import styles from "./Status.module.css";

export function classOf(status: number | null): StatusClass {
  if (status === null) return "none";
  return status >= 100 && status < 600 ? (`${Math.floor(status / 100)}xx` as StatusClass) : "other";
}

export const CLASS_NAMES: Record<StatusClass, string> = {
  "1xx": "1xx", "2xx": "2xx success", "3xx": "3xx redirect", "4xx": "4xx client error", "5xx": "5xx server error", other: "other", none: "no answer",
};

const SHAPES: Record<StatusClass, string> = {
  "1xx": "M1 5h8", "2xx": "M5 1.4a3.6 3.6 0 1 1 0 7.2 3.6 3.6 0 0 1 0-7.2Z", "3xx": "M5 .8 9.2 5 5 9.2.8 5Z", "4xx": "M5 1 9.4 8.8H.6Z", "5xx": "M1.3 1.3h7.4v7.4H1.3Z",
  other: "M1 5h8", none: "M2 2l6 6M8 2 2 8",
};

/** A status code with the shape and colour of its class; never colour alone. */
export const Status = memo(function Status({ status, error }: { status: number | null; error?: string | null }) {
  const kind = classOf(status);
  const line = kind === "none" || kind === "1xx" || kind === "other";
  return (
    <span className={`${styles.status} ${styles[`c${kind}`]}`} title={error ?? undefined}>
      <svg width="9" height="9" viewBox="0 0 10 10" aria-hidden="true"><path d={SHAPES[kind]} fill={line ? "none" : "currentColor"} stroke={line ? "currentColor" : "none"} strokeWidth="1.8" strokeLinecap="round" /></svg>
      {status ?? "none"}
    </span>
  );
});
