import { useNavigate } from "@tanstack/react-router";
import { useEffect, useMemo, useState, type KeyboardEvent } from "react";
import { Modal } from "../components/Modal";
import { toast } from "../components/Toasts";
import { copyText } from "../lib/clipboard";
import { PRESETS, readRange, describeRange } from "../lib/time";
import styles from "./Palette.module.css";
import { changeSettings, getSettings, remember, toggleTheme } from "./settings";
import { rangeSearch, useView } from "./view";

type Command = { id: string; name: string; hint?: string; keys?: string; run(): void };

/** Search or jump to anything: pages, ranges, switches, and the typed words as a query. */
export function Palette({ open, onClose, onKeys }: { open: boolean; onClose(): void; onKeys(): void }) {
  return (
    <Modal open={open} onClose={onClose} title="Search or jump to" bare className={styles.palette}>
      {open && <PaletteBody onClose={onClose} onKeys={onKeys} />}
    </Modal>
  );
}

function useCommands(onKeys: () => void): Command[] {
  const navigate = useNavigate();
  const view = useView();
  return useMemo(() => {
    const shared = { ...rangeSearch(view.range), q: view.search.q };
    return [
      { id: "traffic", name: "Traffic", hint: "page", keys: "g t", run: () => void navigate({ to: "/traffic", search: shared }) },
      { id: "overview", name: "Overview", hint: "page", keys: "g o", run: () => void navigate({ to: "/overview", search: shared }) },
      { id: "endpoints", name: "Endpoints", hint: "page", keys: "g e", run: () => void navigate({ to: "/endpoints", search: shared }) },
      { id: "services", name: "Services", hint: "endpoints", run: () => void navigate({ to: "/endpoints", search: { ...shared, by: "service" } }) },
      { id: "slowest", name: "Slowest endpoints", hint: "endpoints", run: () => void navigate({ to: "/endpoints", search: { ...shared, measure: "p95" } }) },
      { id: "failures", name: "Errors", hint: "page", keys: "g r", run: () => void navigate({ to: "/errors", search: shared }) },
      { id: "countries", name: "Countries", hint: "page", keys: "g m", run: () => void navigate({ to: "/countries", search: shared }) },
      { id: "callers", name: "Keys and clients", hint: "page", run: () => void navigate({ to: "/callers", search: shared }) },
      { id: "users", name: "Users", hint: "page", keys: "g u", run: () => void navigate({ to: "/users", search: rangeSearch(view.range) }) },
      { id: "companies", name: "Companies", hint: "page", run: () => void navigate({ to: "/companies", search: rangeSearch(view.range) }) },
      { id: "gateway", name: "Gateway", hint: "page", keys: "g w", run: () => void navigate({ to: "/gateway", search: shared }) },
      { id: "service", name: "New service", hint: "gateway", run: () => void navigate({ to: "/gateway/$collection/$id", params: { collection: "services", id: "new" }, search: {} }) },
      { id: "plugin", name: "New plugin", hint: "gateway", run: () => void navigate({ to: "/gateway/$collection/$id", params: { collection: "plugins", id: "new" }, search: {} }) },
      { id: "health", name: "Health", hint: "page", keys: "g h", run: () => void navigate({ to: "/health", search: shared }) },
      { id: "connect", name: "Connect", hint: "page", keys: "g c", run: () => void navigate({ to: "/connect", search: shared }) },
      { id: "live", name: view.live ? "Stop live" : "Watch live", keys: "l", run: () => void navigate({ to: "/traffic", search: { ...view.search, live: view.live ? undefined : "1" } }) },
      { id: "errors", name: "Failed calls", hint: "status:>=500", run: () => void navigate({ to: "/traffic", search: { ...shared, q: "status:>=500" } }) },
      { id: "slow", name: "Slow calls", hint: "latency:>1s", run: () => void navigate({ to: "/traffic", search: { ...shared, q: "latency:>1s" } }) },
      ...PRESETS.map((preset) => ({ id: preset.key, name: preset.label, hint: "range", run: () => view.change(rangeSearch(preset.range)) })),
      { id: "theme", name: "Light or dark", keys: "d", run: toggleTheme },
      { id: "zone", name: "Times in UTC or in my zone", run: () => changeSettings({ zone: getSettings().zone === "UTC" ? "local" : "UTC" }) },
      { id: "copy", name: "Copy link to this view", keys: "y", run: () => void copyText(location.href).then(() => toast("Link copied")) },
      { id: "keys", name: "Keys", keys: "?", run: onKeys },
    ];
  }, [navigate, view, onKeys]);
}

function PaletteBody({ onClose, onKeys }: { onClose(): void; onKeys(): void }) {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const navigate = useNavigate();
  const view = useView();
  const commands = useCommands(onKeys);
  const shown = useMemo(() => {
    const typed = text.trim().toLowerCase();
    const found = commands.filter((command) => `${command.name} ${command.hint ?? ""}`.toLowerCase().includes(typed));
    if (typed === "") return found;
    const range = readRange(text, Date.now(), getSettings().zone);
    const extra: Command[] = [];
    if (range && !found.some((command) => command.hint === "range")) extra.push({ id: "typed-range", name: describeRange(range, Date.now(), getSettings().zone), hint: "range", run: () => view.change(rangeSearch(range)) });
    extra.push({
      id: "query", name: `Search the traffic for ${text.trim()}`, hint: "query",
      run: () => {
        remember(text);
        void navigate({ to: "/traffic", search: { ...rangeSearch(view.range), q: text.trim() } });
      },
    });
    return [...found, ...extra];
  }, [commands, text, navigate, view]);
  useEffect(() => setAt(0), [text]);

  const run = (command: Command | undefined) => {
    if (!command) return;
    onClose();
    command.run();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown") setAt((at + 1) % shown.length);
    else if (event.key === "ArrowUp") setAt((at - 1 + shown.length) % shown.length);
    else if (event.key === "Enter") run(shown[at]);
    else return;
    event.preventDefault();
  };
  return (
    <>
      <input
        className={styles.input} value={text} onChange={(event) => setText(event.target.value)} onKeyDown={onKeyDown} placeholder="Search or jump to…" autoFocus
        role="combobox" aria-expanded="true" aria-controls="palette-list" aria-activedescendant={shown[at] ? `palette-${shown[at].id}` : undefined} aria-label="Search or jump to" autoComplete="off" spellCheck={false}
      />
      <ul id="palette-list" role="listbox" aria-label="Commands" className={styles.list}>
        {shown.map((command, index) => (
          <li key={command.id} id={`palette-${command.id}`} role="option" aria-selected={index === at} className={styles.option} onMouseMove={() => setAt(index)} onClick={() => run(command)} ref={index === at ? (element) => element?.scrollIntoView({ block: "nearest" }) : undefined}>
            <span>{command.name}</span>
            {command.hint && <span className={styles.hint}>{command.hint}</span>}
            {command.keys && <span className={styles.keys}>{command.keys.split(" ").map((key) => <kbd key={key}>{key}</kbd>)}</span>}
          </li>
        ))}
      </ul>
    </>
  );
}
