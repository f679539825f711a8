import { useState } from "react";
import { copyText } from "../lib/clipboard";
import { Button } from "./Button";
import styles from "./Command.module.css";

/** Lines to paste in a terminal, with a button that copies them. */
export function Command({ text, name }: { text: string; name: string }) {
  return (
    <div className={styles.command}>
      <pre tabIndex={0} aria-label={name}>{text}</pre>
      <CopyButton text={text} label={`Copy: ${name}`} />
    </div>
  );
}

export function CopyButton({ text, label }: { text: string; label: string }) {
  const [state, setState] = useState<"ready" | "done" | "failed">("ready");
  const copy = () => {
    void copyText(text).then(() => setState("done"), () => setState("failed"));
    setTimeout(() => setState("ready"), 1800);
  };
  return (
    <Button look="quiet" icon={state === "done" ? "check" : "copy"} aria-label={label} onClick={copy}>
      <span aria-live="polite">{state === "done" ? "Copied" : state === "failed" ? "Not allowed" : "Copy"}</span>
    </Button>
  );
}
