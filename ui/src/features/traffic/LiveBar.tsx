import { useEffect, useState } from "react";
import { Button } from "../../components/Button";
import { formatCount } from "../../lib/numbers";
import styles from "./LiveBar.module.css";
import type { LiveState } from "./use-live";

type Props = { state: LiveState; waiting: number; notDrawn: number; paused: boolean; stopped: boolean; onResume(): void; onStop(): void };

/** Whether the stream runs, what waits, and what was not drawn. Announced every ten seconds at most. */
export function LiveBar({ state, waiting, notDrawn, paused, stopped, onResume, onStop }: Props) {
  const words = state === "reconnecting" ? "Reconnecting…" : state === "connecting" ? "Connecting…" : paused ? "Paused" : "Live";
  const [announced, setAnnounced] = useState("");
  const text = `${words}${waiting > 0 ? `, ${waiting} new` : ""}`;
  useEffect(() => {
    const timer = setInterval(() => setAnnounced(text), 10_000);
    return () => clearInterval(timer);
  }, [text]);
  return (
    <div className={styles.bar}>
      <span className={`${styles.light} ${state === "open" ? (paused ? styles.paused : styles.on) : styles.off}`} aria-hidden="true" />
      <strong>{words}</strong>
      {waiting > 0 && <Button look="strong" onClick={onResume} data-testid="live-new">{formatCount(waiting)} new</Button>}
      {notDrawn > 0 && <span className="muted num">+{formatCount(notDrawn)} not drawn</span>}
      <span className={styles.hint}>{stopped ? "" : paused ? "scrolled, hovering or reading: the list waits" : ""}</span>
      {stopped ? <Button icon="play" onClick={onResume}>Go on</Button> : <Button icon="pause" onClick={onStop} title="Pause (Space)">Pause</Button>}
      <span className="visually-hidden" aria-live="polite">{announced}</span>
    </div>
  );
}
