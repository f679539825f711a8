import { useNavigate } from "@tanstack/react-router";
import { useRef, useState, type FocusEvent, type KeyboardEvent, type MouseEvent } from "react";
import type { Search } from "../../app/view";
import { LEVELS, levelOf } from "./scale";
import styles from "./Countries.module.css";
import world from "./world.json";

export type Place = { key: string; code: string; name: string; value: number | null; text: string; search: Search };

type Props = {
  /** Countries with calls, the first one first. */
  places: Place[];
  bounds: number[];
  format(value: number): string;
  /** What is coloured. */
  measure: string;
  bad: boolean;
  marked: string | null;
  onMark(key: string | null): void;
};

const OUTLINES: Record<string, string> = world.outlines;
const POINTS: Record<string, number[]> = world.points;

export const isOnMap = (code: string): boolean => code in OUTLINES || code in POINTS;

/**
 * Where calls come from. One tab stop: arrows step through the countries with calls, the most first; Enter opens their
 * calls, as a click does. The table beside says the same in words.
 */
export function WorldMap({ places, bounds, format, measure, bad, marked, onMark }: Props) {
  const navigate = useNavigate();
  const [tip, setTip] = useState<{ x: number; y: number } | null>(null);
  const box = useRef<HTMLDivElement>(null);
  const shown = places.filter((place) => isOnMap(place.code));
  const byCode = new Map(shown.map((place) => [place.code, place]));
  const at = Math.max(0, shown.findIndex((place) => place.key === marked));
  const current = shown.find((place) => place.key === marked);
  const open = (place: Place | undefined) => place && void navigate({ to: "/traffic", search: place.search });
  const middle = (element: Element) => {
    const [mark, all] = [element.getBoundingClientRect(), box.current!.getBoundingClientRect()];
    return { x: mark.x + mark.width / 2 - all.x, y: mark.y + mark.height / 2 - all.y };
  };
  const mark = (place: Place | undefined) => {
    if (!place) return;
    onMark(place.key);
    const element = box.current?.querySelector(`[data-country="${place.code}"]`);
    if (element) setTip(middle(element));
  };
  const leave = () => {
    onMark(null);
    setTip(null);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const next = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: shown.length - 1 }[event.key];
    if (next !== undefined) mark(shown[marked === null ? 0 : Math.max(0, Math.min(shown.length - 1, next))]);
    else if (event.key === "Enter") open(current);
    else if (event.key === "Escape" && marked !== null) leave();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const codeAt = (event: MouseEvent) => (event.target as Element).getAttribute("data-country") ?? "";
  const onMove = (event: MouseEvent) => {
    const place = byCode.get(codeAt(event));
    if (!place) return leave();
    const all = box.current!.getBoundingClientRect();
    onMark(place.key);
    setTip({ x: event.clientX - all.x, y: event.clientY - all.y });
  };
  const props = (code: string) => {
    const place = byCode.get(code);
    const level = place ? levelOf(place.value, bounds) : -1;
    const look = place ? `${styles.country} ${styles[`level${level}`]}` : styles.empty;
    return { "data-country": code, className: place?.key === marked && marked !== null ? `${look} ${styles.here}` : look };
  };
  const summary = shown.length === 0 ? "no country of the map" : shown.slice(0, 3).map((place) => `${place.name} ${place.text}`).join(", ");
  return (
    <div ref={box} className={bad ? `${styles.map} ${styles.badScale}` : styles.map}>
      <div
        role="application" tabIndex={0} aria-roledescription="map" aria-label={`World map, ${measure} by country: ${summary}. Arrows step through countries, Enter opens their calls.`}
        className={styles.stage} onKeyDown={onKeyDown} onFocus={(event: FocusEvent) => { if (event.target.matches(":focus-visible") && marked === null) mark(shown[0]); }} onBlur={leave}
        onMouseMove={onMove} onMouseLeave={leave} onClick={(event) => open(byCode.get(codeAt(event)))}
      >
        <svg viewBox={`0 0 ${world.width * 10} ${world.height * 10}`} aria-hidden="true" focusable="false">
          {Object.entries(OUTLINES).map(([code, path]) => <path key={code} d={path} {...props(code)} />)}
          {Object.entries(POINTS).filter(([code]) => byCode.has(code)).map(([code, [x, y]]) => <circle key={code} cx={x! * 10} cy={y! * 10} r={58} {...props(code)} />)}
          {current && OUTLINES[current.code] && <path d={OUTLINES[current.code]} className={styles.outline} />}
        </svg>
      </div>
      {current && tip && <div className={styles.tip} style={{ left: tip.x, top: tip.y }} aria-hidden="true"><strong>{current.name}</strong> {current.text}</div>}
      <p className="visually-hidden" aria-live="polite">{current ? `${current.name}: ${current.text}` : ""}</p>
      <Legend bounds={bounds} format={format} measure={measure} />
    </div>
  );
}

function Legend({ bounds, format, measure }: { bounds: number[]; format(value: number): string; measure: string }) {
  if (bounds.length === 0) return null;
  return (
    <ul className={styles.legend} aria-label={`Colours: ${measure}`}>
      <li><i className={styles.empty} aria-hidden="true" />no calls</li>
      {bounds.map((bound, at) => (
        <li key={bound}><i className={styles[`level${at + 1 + LEVELS - bounds.length}`]} aria-hidden="true" />{bounds.length === 1 ? format(bound) : at === bounds.length - 1 ? `${format(bound)} and more` : at === 0 ? `under ${format(bounds[1]!)}` : `from ${format(bound)}`}</li>
      ))}
    </ul>
  );
}
