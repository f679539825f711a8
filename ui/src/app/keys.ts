/** The keyboard map. What a page registers last acts first; single letters act only outside inputs. */
import { useEffect, useRef } from "react";
import { getSettings } from "./settings";

/** Does the work and returns `false` when it leaves the key to others. */
export type KeyAction = (event: KeyboardEvent) => void | boolean;

const layers: { current: Record<string, KeyAction> }[] = [];
let prefix = "";
let prefixTimer = 0;

function nameOf(event: KeyboardEvent): string {
  const command = event.metaKey || event.ctrlKey ? "Mod+" : "";
  const letter = event.key.length === 1;
  const key = event.key === " " ? "Space" : event.key;
  const shift = event.shiftKey && (!letter || command !== "") ? "Shift+" : "";
  return `${command}${event.altKey ? "Alt+" : ""}${shift}${command ? key.toLowerCase() : key}`;
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

function handle(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.isComposing) return;
  const name = nameOf(event);
  const single = !name.includes("Mod+") && (event.key.length === 1 || name === "Enter");
  if (single && isTyping(event.target)) return;
  if (event.key.length === 1 && !name.includes("Mod+") && event.key !== " " && !getSettings().letters) return;
  // Keys that mean something to the control in focus stay with it.
  const inControl = event.target instanceof HTMLElement && event.target.closest("button, a, summary, [role=menuitem], [role=option], [role=tab]");
  if (inControl && (name === "Space" || name === "Enter")) return;
  if (document.querySelector("[role=dialog][data-modal]") && name !== "Escape" && !name.includes("Mod+")) return;
  const wanted = prefix ? `${prefix} ${name}` : name;
  clearTimeout(prefixTimer);
  prefix = "";
  for (const layer of [...layers].reverse()) {
    const action = layer.current[wanted];
    if (action && action(event) !== false) {
      event.preventDefault();
      return;
    }
  }
  if (wanted === "g") {
    prefix = "g";
    prefixTimer = window.setTimeout(() => (prefix = ""), 1200);
  }
}

let listening = false;

/** Registers keys for as long as the component is shown. */
export function useKeys(actions: Record<string, KeyAction>): void {
  const layer = useRef(actions);
  useEffect(() => {
    layer.current = actions;
  });
  useEffect(() => {
    if (!listening) {
      window.addEventListener("keydown", handle);
      listening = true;
    }
    layers.push(layer);
    return () => void layers.splice(layers.indexOf(layer), 1);
  }, []);
}

/** The list that `?` shows. */
export const KEY_HELP: { title: string; keys: [string, string][] }[] = [
  {
    title: "Everywhere",
    keys: [
      ["⌘/Ctrl K", "search or jump to…"], ["/", "to the query"], ["?", "these keys"], ["g o", "overview"], ["g t", "traffic"], ["g e", "endpoints"], ["g r", "errors"], ["g m", "countries"], ["g u", "users"], ["g w", "gateway"], ["g h", "health"], ["g c", "connect"],
      ["t", "time range"], ["[  ]", "earlier, later"], ["-", "zoom out"], ["r", "refresh"], ["d", "light or dark"], ["Esc", "close, clear, stop"],
    ],
  },
  {
    title: "Traffic",
    keys: [
      ["j  k", "next, previous call"], ["←  →", "along the columns"], ["Enter", "open the call"], ["x", "select"], ["f", "only this value"],
      ["⇧ F", "without this value"], ["c", "copy as cURL"], ["h", "save as HAR"], ["y", "copy link"], ["l", "live on and off"], ["Space", "pause live"],
      ["⌘/Ctrl Z", "query before (⇧ after)"],
    ],
  },
  { title: "Gateway", keys: [["n", "new"], ["/", "find"], ["⌘/Ctrl Enter", "save"]] },
  { title: "One call", keys: [["j  k", "next, previous call"], ["c", "copy as cURL"], ["h", "save as HAR"], ["y", "copy link"], ["Ctrl F", "find in body"], ["Esc", "close"]] },
];
