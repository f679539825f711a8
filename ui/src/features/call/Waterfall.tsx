import type { Timings } from "../../api/types";
import { formatDuration } from "../../lib/numbers";
import styles from "./Waterfall.module.css";

/** In the order they happen. */
const PHASES: { key: keyof Timings; name: string; about: string }[] = [
  { key: "blocked", name: "blocked", about: "waiting for a connection" },
  { key: "dns", name: "DNS", about: "name look-up" },
  { key: "connect", name: "connect", about: "TCP connection" },
  { key: "tls", name: "TLS", about: "TLS handshake" },
  { key: "send", name: "receive and send on", about: "from the first byte of the request to its hand-off upstream" },
  { key: "wait", name: "upstream", about: "from the hand-off to the first byte of the answer" },
  { key: "receive", name: "answer", about: "from the first to the last byte of the answer" },
];

export type Segment = { key: string; name: string; about: string; milliseconds: number; from: number };

/** The known phases end to end; TLS is part of connect in HAR's way of counting, so it is not laid after it. */
export function segmentsOf(timings: Timings): Segment[] {
  let from = 0;
  return PHASES.flatMap((phase): Segment[] => {
    const milliseconds = timings[phase.key];
    if (milliseconds === null || milliseconds < 0) return [];
    const inside = phase.key === "tls" && (timings.connect ?? -1) >= milliseconds;
    const segment = { ...phase, milliseconds, from: inside ? from - milliseconds : from };
    if (!inside) from += milliseconds;
    return milliseconds > 0 ? [segment] : [];
  });
}

/** Where the time of a call went, to scale, with figures. */
export function Waterfall({ timings, duration }: { timings: Timings; duration: number | null }) {
  const segments = segmentsOf(timings);
  const total = Math.max(duration ?? 0, ...segments.map((segment) => segment.from + segment.milliseconds));
  if (segments.length === 0 || total <= 0) return null;
  return (
    <figure className={styles.figure} aria-label={`Where the time went: ${segments.map((segment) => `${segment.name} ${formatDuration(segment.milliseconds)}`).join(", ")}`}>
      <div className={styles.track} aria-hidden="true">
        {segments.map((segment) => <span key={segment.key} className={styles[segment.key]} style={{ left: `${(segment.from / total) * 100}%`, width: `max(2px, ${(segment.milliseconds / total) * 100}%)` }} />)}
      </div>
      <figcaption aria-hidden="true">
        {segments.map((segment) => (
          <span key={segment.key} title={segment.about}><i className={styles[segment.key]} />{segment.name} <b className="num">{formatDuration(segment.milliseconds)}</b></span>
        ))}
      </figcaption>
    </figure>
  );
}
