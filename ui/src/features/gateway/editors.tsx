/** The controls for single values: one for each kind that a schema can name. */
import { useState, type ClipboardEvent, type KeyboardEvent } from "react";
import { flushSync } from "react-dom";
import type { Mistakes } from "../../api/admin";
import { Button } from "../../components/Button";
import { capturedTitle } from "../../components/Captured";
import { nameOf } from "./collections";
import { below, blank, type Draft, type Pair, type RecordDraft } from "./draft";
import type { Kind } from "./schema";
import { Mistake, SchemaForm } from "./SchemaForm";
import styles from "./SchemaForm.module.css";
import { useEntities } from "./use-admin";

export type EditorProps<Value = Draft> = {
  id: string;
  kind: Kind;
  value: Value;
  onChange(value: Draft): void;
  mistakes: Mistakes;
  readOnly: boolean;
  secret?: boolean;
  describedBy?: string;
  wrong?: boolean;
  /** Whether it may be left without a value. */
  unset?: boolean;
  required?: boolean;
  /** The default as text. */
  preset?: string;
  /** The accessible name of a control without a label of its own. */
  label?: string;
};

export function ValueEditor(props: EditorProps) {
  const { kind } = props;
  switch (kind.type) {
    case "boolean":
      return <Truth {...props} />;
    case "list":
      return kind.set && kind.of.type === "text" && kind.of.oneOf ? <Choices {...props} all={kind.of.oneOf} /> : <List {...props} of={kind.of} />;
    case "map":
      return <Entries {...props} of={kind.of} />;
    case "reference":
      return <Reference {...props} to={kind.to} />;
    case "record":
      return (
        <div className={styles.inset} id={props.id}>
          <SchemaForm fields={kind.fields} value={props.value as RecordDraft} onChange={props.onChange} mistakes={props.mistakes} readOnly={props.readOnly} path={props.id} />
        </div>
      );
    case "any":
      return <Line {...props} rows={Math.min(16, String(props.value ?? "").split("\n").length + 1)} mono />;
    case "text":
      return kind.oneOf ? <Choice {...props} all={kind.oneOf} /> : <Line {...props} />;
    case "number":
      return <Line {...props} numeric={kind.whole ? "numeric" : "decimal"} />;
  }
}

const common = ({ id, readOnly, describedBy, wrong, required, label }: EditorProps) => ({ id, disabled: readOnly, "aria-describedby": describedBy, "aria-invalid": wrong || undefined, "aria-required": required || undefined, "aria-label": label });

function Line({ rows, mono, numeric, ...props }: EditorProps & { rows?: number; mono?: boolean; numeric?: "numeric" | "decimal" }) {
  const { value, onChange, secret, preset, readOnly } = props;
  const [shown, setShown] = useState(false);
  const text = String(value ?? "");
  const shared = { ...common(props), value: text, spellCheck: false, autoComplete: "off", placeholder: preset };
  const className = [styles.input, mono && styles.mono, numeric && styles.number].filter(Boolean).join(" ");
  if (secret) {
    return (
      <span className={styles.secret}>
        <input {...shared} className={className} type={shown ? "text" : "password"} autoComplete="new-password" data-1p-ignore="" data-lpignore="true" onChange={(event) => onChange(event.target.value)} />
        {!(readOnly && text === "") && <Button look="quiet" aria-pressed={shown} onClick={() => setShown(!shown)}>{shown ? "Hide" : "Show"}</Button>}
      </span>
    );
  }
  if (rows !== undefined || text.includes("\n")) return <textarea {...shared} className={`${className} ${styles.mono}`} rows={rows ?? Math.min(12, text.split("\n").length + 1)} onChange={(event) => onChange(event.target.value)} />;
  // An input would lose the ends of lines, which keys and certificates need.
  const onPaste = (event: ClipboardEvent<HTMLInputElement>) => {
    const pasted = event.clipboardData.getData("text/plain").replace(/\r\n?/g, "\n");
    if (numeric || !pasted.trimEnd().includes("\n")) return;
    event.preventDefault();
    const { selectionStart, selectionEnd } = event.currentTarget;
    onChange(text.slice(0, selectionStart ?? 0) + pasted + text.slice(selectionEnd ?? text.length));
  };
  return <input {...shared} className={className} inputMode={numeric} onPaste={onPaste} onChange={(event) => onChange(event.target.value)} />;
}

function Truth(props: EditorProps) {
  const { value, onChange, unset } = props;
  if (unset && value === null) return <Choice {...props} value="" all={["true", "false"]} onChange={(text) => onChange(text === "" ? null : text === "true")} />;
  return (
    <label className={styles.check}>
      <input {...common(props)} type="checkbox" checked={value === true} onChange={(event) => onChange(event.target.checked)} />
      <span aria-hidden="true">{value === true ? "yes" : "no"}</span>
    </label>
  );
}

function Choice({ all, ...props }: EditorProps & { all: string[] }) {
  const text = String(props.value ?? "");
  return (
    <select {...common(props)} className={styles.select} value={text} onChange={(event) => props.onChange(event.target.value)}>
      {(props.unset || text === "") && <option value="">not set</option>}
      {text !== "" && !all.includes(text) && <option value={text}>{text}</option>}
      {all.map((one) => <option key={one} value={one}>{one}</option>)}
    </select>
  );
}

/** A few of a known set. */
function Choices({ id, all, value, onChange, readOnly, describedBy }: EditorProps & { all: string[] }) {
  const chosen = value as string[];
  const flip = (one: string) => onChange(chosen.includes(one) ? chosen.filter((other) => other !== one) : [...chosen, one]);
  return (
    <div role="group" id={id} aria-labelledby={`${id}.label`} aria-describedby={describedBy} className={styles.choices}>
      {all.map((one) => (
        <label key={one} className={styles.check}>
          <input type="checkbox" checked={chosen.includes(one)} disabled={readOnly} onChange={() => flip(one)} /> <span>{one}</span>
        </label>
      ))}
    </div>
  );
}

function Reference({ to, ...props }: EditorProps & { to: string }) {
  const { data } = useEntities(to);
  const text = String(props.value ?? "");
  const known = data?.entities ?? [];
  return (
    <select {...common(props)} className={styles.select} value={text} onChange={(event) => props.onChange(event.target.value)}>
      <option value="">{props.required ? "choose one" : "not set"}</option>
      {text !== "" && !known.some((entity) => entity.id === text) && <option value={text}>{text}</option>}
      {known.map((entity) => <option key={entity.id} value={entity.id}>{capturedTitle(nameOf(to, entity))}</option>)}
    </select>
  );
}

/** Puts the caret where the next key belongs before that key comes: who types fast loses no letter. */
function changeAndFocus(change: () => void, id: string): void {
  flushSync(change);
  document.getElementById(id)?.focus();
}

function List({ id, of, value, onChange, mistakes, readOnly, describedBy, secret, preset }: EditorProps & { of: Kind }) {
  const items = value as Draft[];
  const set = (index: number, item: Draft) => onChange(items.map((other, at) => (at === index ? item : other)));
  const add = (index: number) => {
    changeAndFocus(() => onChange([...items.slice(0, index), blank(of), ...items.slice(index)]), `${id}.${index}`);
  };
  const remove = (index: number) => {
    changeAndFocus(() => onChange(items.filter((_, at) => at !== index)), items.length > 1 ? `${id}.${Math.max(0, index - 1)}` : `${id}.add`);
  };
  const onKeyDown = (event: KeyboardEvent, index: number) => {
    if (!(event.target instanceof HTMLInputElement) || event.nativeEvent.isComposing) return;
    if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) add(index + 1);
    else if (event.key === "Backspace" && items[index] === "") remove(index);
    else return;
    event.preventDefault();
  };
  const simple = of.type !== "record";
  return (
    <div role="group" id={id} aria-labelledby={`${id}.label`} aria-describedby={describedBy} className={styles.list}>
      {items.length === 0 && readOnly && <span className="muted">{preset || "none"}</span>}
      {items.map((item, index) => {
        const own = below(mistakes, index);
        return (
          <div key={index} className={styles.item}>
            <div className={styles.itemLine} onKeyDown={simple ? (event) => onKeyDown(event, index) : undefined}>
              <ValueEditor id={`${id}.${index}`} kind={of} secret={secret} value={item} onChange={(next) => set(index, next)} mistakes={own} readOnly={readOnly} wrong={typeof own === "string"} label={simple ? `${index + 1} of ${items.length}` : undefined} describedBy={typeof own === "string" ? `${id}.${index}.mistake` : undefined} />
              {!readOnly && <Button look="quiet" icon="close" label={`Take ${index + 1} away`} onClick={() => remove(index)} />}
            </div>
            {typeof own === "string" && <Mistake id={`${id}.${index}.mistake`} text={own} />}
          </div>
        );
      })}
      {!readOnly && <Button id={`${id}.add`} icon="plus" onClick={() => add(items.length)}>Add{items.length > 0 && " another"}</Button>}
    </div>
  );
}

function Entries({ id, of, value, onChange, mistakes, readOnly, describedBy, secret }: EditorProps & { of: Kind }) {
  const pairs = value as Pair[];
  const set = (index: number, pair: Pair) => onChange(pairs.map((other, at) => (at === index ? pair : other)));
  const add = () => {
    changeAndFocus(() => onChange([...pairs, ["", blank(of)]]), `${id}.${pairs.length}.name`);
  };
  const remove = (index: number) => {
    changeAndFocus(() => onChange(pairs.filter((_, at) => at !== index)), `${id}.add`);
  };
  return (
    <div role="group" id={id} aria-labelledby={`${id}.label`} aria-describedby={describedBy} className={styles.list}>
      {pairs.length === 0 && readOnly && <span className="muted">none</span>}
      {pairs.map(([name, item], index) => {
        const own = below(mistakes, name);
        const itemId = name === "" ? `${id}.${index}` : `${id}.${name}`;
        return (
          <div key={index} className={styles.item}>
            <div className={styles.entry}>
              <input className={styles.input} id={`${id}.${index}.name`} aria-label="Name" placeholder="name" value={name} disabled={readOnly} spellCheck={false} autoComplete="off" onChange={(event) => set(index, [event.target.value, item])} />
              {/* A group inside is named by this entry. */}
              <span id={`${itemId}.label`} className="visually-hidden">{name || "value"}</span>
              <ValueEditor id={itemId} kind={of} secret={secret} value={item} onChange={(next) => set(index, [name, next])} mistakes={own} readOnly={readOnly} wrong={typeof own === "string"} label="Value" />
              {!readOnly && <Button look="quiet" icon="close" label={`Take ${name || `entry ${index + 1}`} away`} onClick={() => remove(index)} />}
            </div>
            {typeof own === "string" && <Mistake text={own} />}
          </div>
        );
      })}
      {!readOnly && <Button id={`${id}.add`} icon="plus" onClick={add}>Add{pairs.length > 0 && " another"}</Button>}
    </div>
  );
}
