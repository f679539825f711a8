import * as Popover from "@radix-ui/react-popover";
import { useEffect, useState, type FormEvent } from "react";
import { Button } from "../components/Button";
import { Icon } from "../components/Icon";
import { ALL_TIME, describeRange, formatFull, PRESETS, readRange, resolve, shift, zoneLabel, zoomOut, type TimeRange } from "../lib/time";
import { useKeys } from "./keys";
import styles from "./RangePicker.module.css";
import { changeSettings, useSettings } from "./settings";
import { rangeSearch, useView } from "./view";

const REFRESH = [0, 5, 15, 60, 300];
const refreshName = (seconds: number) => (seconds === 0 ? "off" : seconds < 60 ? `${seconds} s` : `${seconds / 60} min`);

/** The time range of the page: what it is, a step earlier or later, wider, again. */
export function RangePicker({ onRefresh }: { onRefresh(): void }) {
  const view = useView();
  const { zone } = useSettings();
  const [open, setOpen] = useState(false);
  const { range } = view;
  const now = Date.now();
  const set = (next: TimeRange) => view.change(rangeSearch(next));
  const step = (steps: number) => set(shift(view.range, steps, Date.now(), zone));
  const wider = () => set(zoomOut(view.range, Date.now(), zone));
  const all = range.from === ALL_TIME.from;

  useKeys({ t: () => setOpen(true), "[": () => step(-1), "]": () => step(1), "-": wider, r: onRefresh });
  useEffect(() => {
    if (view.refresh < 1) return;
    const timer = setInterval(() => document.visibilityState === "visible" && onRefresh(), view.refresh * 1000);
    return () => clearInterval(timer);
  }, [view.refresh, onRefresh]);

  return (
    <div className={styles.picker} role="group" aria-label="Time range">
      <Button look="quiet" icon="left" label="Earlier" shortcut="[" disabled={all} onClick={() => step(-1)} className={styles.step} />
      <Popover.Root open={open} onOpenChange={setOpen}>
        <Popover.Trigger asChild>
          <Button className={styles.range} title="Time range (t)">
            <Icon name="clock" />
            <span className={styles.words}>{describeRange(range, now, zone)}</span>
            <span className={styles.zone}>{zoneLabel(zone, now)}</span>
            <Icon name="down" size={12} />
          </Button>
        </Popover.Trigger>
        <Popover.Portal>
          <Popover.Content className={styles.popover} align="end" sideOffset={6} collisionPadding={8} aria-label="Time range">
            <RangeForm range={range} onPick={(next) => { set(next); setOpen(false); }} />
          </Popover.Content>
        </Popover.Portal>
      </Popover.Root>
      <Button look="quiet" icon="right" label="Later" shortcut="]" disabled={all} onClick={() => step(1)} className={styles.step} />
      <Button look="quiet" icon="zoomOut" label="Zoom out" shortcut="-" disabled={all} onClick={wider} className={styles.step} />
      <Button look="quiet" icon="refresh" label="Refresh" shortcut="r" onClick={onRefresh} />
      <select className={styles.refresh} aria-label="Refresh by itself" title="Refresh by itself" value={view.refresh} onChange={(event) => view.change({ refresh: event.target.value === "0" ? undefined : event.target.value }, { replace: true })}>
        {REFRESH.map((seconds) => <option key={seconds} value={seconds}>{refreshName(seconds)}</option>)}
      </select>
    </div>
  );
}

function RangeForm({ range, onPick }: { range: TimeRange; onPick(range: TimeRange): void }) {
  const { zone } = useSettings();
  const [text, setText] = useState("");
  const [failed, setFailed] = useState(false);
  const now = Date.now();
  const typed = text.trim() === "" ? null : readRange(text, now, zone);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (typed) onPick(typed);
    else setFailed(text.trim() !== "");
  };
  const instants = (one: TimeRange) => {
    const [from, to] = [resolve(one.from, now, zone), resolve(one.to, now, zone)];
    return from === null || to === null ? "" : `${formatFull(from, zone)} to ${formatFull(to, zone)}`;
  };
  return (
    <>
      <form onSubmit={submit} className={styles.form}>
        <label htmlFor="range-text">Any range</label>
        <input id="range-text" autoFocus value={text} onChange={(event) => { setText(event.target.value); setFailed(false); }} placeholder="90m, now-6h, yesterday, 2026-11-03 14:00 to 15:00" aria-invalid={failed} aria-describedby="range-note" autoComplete="off" spellCheck={false} />
        <p id="range-note" className={failed ? styles.failed : styles.note} role={failed ? "alert" : undefined}>
          {failed ? "This is not a range. Try 90m, yesterday, or 2026-11-03 14:00 to 15:00." : instants(typed ?? range) || "Everything that is kept"}
        </p>
      </form>
      <ul className={styles.presets}>
        {PRESETS.map((preset) => (
          <li key={preset.key}>
            <button type="button" aria-pressed={preset.range.from === range.from && preset.range.to === range.to} onClick={() => onPick(preset.range)}>{preset.label}</button>
          </li>
        ))}
      </ul>
      <fieldset className={styles.zones}>
        <legend>Times are shown in</legend>
        {(["local", "UTC"] as const).map((one) => (
          <label key={one}>
            <input type="radio" name="zone" checked={zone === one} onChange={() => changeSettings({ zone: one })} />
            {one === "UTC" ? "UTC" : `this machine’s zone (${zoneLabel("local", now)})`}
          </label>
        ))}
      </fieldset>
    </>
  );
}
