import { memo, type ReactNode } from "react";
import { pieces, visible } from "../lib/hostile";
import styles from "./Captured.module.css";

/** Text that came from outside: one text node, with a visible mark for what would be hidden or reorder the line. */
export const Captured = memo(function Captured({ text, find, lines }: { text: string; /** Words to mark. */ find?: string; /** Tabs and line feeds do what they say. */ lines?: boolean }) {
  const parts = pieces(text, lines);
  if (parts.length === 1 && !parts[0]!.mark && !find) return <bdi className={styles.text}>{text}</bdi>;
  return (
    <bdi className={styles.text}>
      {parts.map((piece) =>
        piece.mark ? (
          <span key={piece.at} className={piece.masked ? styles.masked : styles.mark} title={piece.masked ? "a secret was here; it was not kept" : `hidden character ${piece.text}`}>{piece.text}</span>
        ) : (
          <span key={piece.at}>{find ? marked(piece.text, find) : piece.text}</span>
        ),
      )}
    </bdi>
  );
});

function marked(text: string, find: string): ReactNode {
  const lower = text.toLowerCase();
  const wanted = find.toLowerCase();
  const found: ReactNode[] = [];
  let end = 0;
  // Lower case can change the length of a text; then places would be off and nothing is marked.
  if (lower.length !== text.length) return text;
  for (let at = lower.indexOf(wanted); at >= 0 && found.length < 400; at = lower.indexOf(wanted, end)) {
    found.push(text.slice(end, at), <mark key={at}>{text.slice(at, at + wanted.length)}</mark>);
    end = at + wanted.length;
  }
  return found.length === 0 ? text : [...found, text.slice(end)];
}

/** The same as a title or accessible name. */
export const capturedTitle = visible;
