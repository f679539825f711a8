import { Link } from "@tanstack/react-router";
import { stateOf } from "../../api/ledger";
import type { TargetLedger } from "../../api/types";
import { Captured } from "../../components/Captured";
import { Icon } from "../../components/Icon";
import styles from "./TargetState.module.css";

const ICONS = { good: "check", warn: "warn", idle: "clock" } as const;

/** How a target does, in a few words that lead to its account. */
export function TargetState({ target }: { target: TargetLedger }) {
  const { level, sentence } = stateOf(target, Date.now());
  return (
    <Link to="/health" hash={targetAnchor(target.name)} className={`${styles.state} ${styles[level]}`} title={target.last_error && level === "warn" ? undefined : "its account on Health"}>
      <Icon name={ICONS[level]} size={14} /> <span><Captured text={sentence} /></span>
    </Link>
  );
}

/** The id of a target's account in the document. */
export const targetAnchor = (name: string): string => `target-${name}`;
