import { Link } from "@tanstack/react-router";
import type { Search } from "../../app/view";
import styles from "./ViewTabs.module.css";

export type TrafficView = "calls" | "chart" | "top";

export const readView = (text: string | undefined): TrafficView => (text === "chart" || text === "top" ? text : "calls");

const VIEWS: { key: TrafficView; name: string }[] = [{ key: "calls", name: "Calls" }, { key: "chart", name: "Chart" }, { key: "top", name: "Top" }];

/** The same query, drawn otherwise. */
export function ViewTabs({ current, search }: { current: TrafficView; search: Search }) {
  const { measure: _measure, by: _by, ...rest } = search;
  return (
    <nav className={styles.tabs} aria-label="Views">
      {VIEWS.map((view) => (
        <Link key={view.key} to="/traffic" search={{ ...rest, tab: view.key === "calls" ? undefined : view.key, live: view.key === "calls" ? rest.live : undefined, call: view.key === "calls" ? rest.call : undefined }} className={styles.tab} activeOptions={{ exact: true, explicitUndefined: true }} aria-current={view.key === current ? "page" : undefined}>{view.name}</Link>
      ))}
    </nav>
  );
}
