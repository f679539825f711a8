import type { ReactNode } from "react";
import styles from "./Notice.module.css";

/** The sentence in the middle of an empty page: what is the case, and what can be done. */
export function Notice({ title, children, heading = true }: { title: string; children?: ReactNode; heading?: boolean }) {
  return (
    <div className={styles.notice}>
      {heading ? <h2>{title}</h2> : <p className={styles.title}>{title}</p>}
      <div className={styles.body}>{children}</div>
    </div>
  );
}
