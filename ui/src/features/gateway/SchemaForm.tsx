/** Fields drawn from a schema. Nothing here knows any entity or plugin. */
import { useEffect, useId, useMemo, useState, type ReactNode } from "react";
import type { Json, Mistakes } from "../../api/admin";
import { Icon } from "../../components/Icon";
import { below, isSet, lines, type Draft, type RecordDraft } from "./draft";
import { ValueEditor } from "./editors";
import { boundsText, type Field } from "./schema";
import styles from "./SchemaForm.module.css";

export type FormProps = {
  fields: Field[];
  value: RecordDraft;
  onChange(value: RecordDraft): void;
  mistakes: Mistakes;
  readOnly: boolean;
  /** Where these fields are: their ids in the document begin with it. */
  path: string;
};

/** More rows than this are not put before a reader at once. */
const FEW = 7;
/** So many that a reader looks for one by its name. */
const MANY = 12;

/**
 * A group of fields. When there are many, those that must be given or have been changed come first, and the others wait
 * behind a line; `front` names more that come first.
 */
export function SchemaForm({ front = [], ...form }: FormProps & { front?: readonly string[] }) {
  const { fields, value, mistakes } = form;
  // Decided once: fields do not move while somebody types.
  const [first] = useState(() => new Set(fields.filter((field) => front.includes(field.name) || (field.required && field.preset === null) || (front.length === 0 && isSet(field, value[field.name]))).map((field) => field.name)));
  const few = front.length === 0 && fields.length <= FEW;
  const before = few ? fields : order(fields, front).filter((field) => first.has(field.name));
  const after = few ? [] : fields.filter((field) => !first.has(field.name));
  return (
    <>
      {before.map((field) => <FieldRow key={field.name} field={field} {...form} />)}
      {after.length > 0 && <More {...form} fields={after} wrong={after.some((field) => lines(below(mistakes, field.name)).length > 0)} lonely={before.length === 0} />}
    </>
  );
}

const order = (fields: Field[], front: readonly string[]): Field[] => [...fields].sort((a, b) => place(a, front) - place(b, front));
const place = (field: Field, front: readonly string[]): number => (front.includes(field.name) ? front.indexOf(field.name) : front.length);

function More({ wrong, lonely, ...form }: FormProps & { wrong: boolean; lonely: boolean }) {
  const [open, setOpen] = useState(lonely);
  const [find, setFind] = useState("");
  const { fields, value } = form;
  useEffect(() => {
    if (wrong) setOpen(true);
  }, [wrong]);
  const wanted = find.trim().toLowerCase();
  const shown = useMemo(() => (wanted === "" ? fields : fields.filter((field) => `${field.name} ${field.about}`.toLowerCase().includes(wanted))), [fields, wanted]);
  const changed = fields.filter((field) => isSet(field, value[field.name])).length;
  return (
    <details className={styles.more} open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <Icon name="right" size={12} />
        {lonely ? `${fields.length} settings` : `${fields.length} more`}
        <span className="muted">{changed === 0 ? "at their defaults" : `${changed} not at the default`}</span>
      </summary>
      {open && fields.length > MANY && <input className={styles.find} type="search" value={find} onChange={(event) => setFind(event.target.value)} placeholder="Find a setting" aria-label="Find a setting" />}
      {open && shown.map((field) => <FieldRow key={field.name} {...form} field={field} />)}
      {open && shown.length === 0 && <p className="muted">No setting has these words.</p>}
    </details>
  );
}

function FieldRow({ field, value, onChange, mistakes, readOnly, path }: Omit<FormProps, "fields"> & { field: Field }) {
  const id = `${path}.${field.name}`;
  const own = below(mistakes, field.name);
  const draft = value[field.name] ?? null;
  const change = (next: Draft) => onChange({ ...value, [field.name]: next });
  const { kind } = field;
  const message = typeof own === "string" ? own : null;
  if (kind.type === "reference" && kind.never) return null;
  if (kind.type === "record") {
    return (
      <fieldset className={styles.record} id={id} tabIndex={-1}>
        <legend>{field.name}</legend>
        <About field={field} id={`${id}.about`} />
        {message && <Mistake id={`${id}.mistake`} text={message} />}
        <SchemaForm fields={kind.fields} value={draft as RecordDraft} onChange={change} mistakes={own} readOnly={readOnly} path={id} />
      </fieldset>
    );
  }
  // Groups of controls are named by their label's id, single controls by `for`.
  const group = kind.type === "list" || kind.type === "map";
  const describedBy = [field.about && `${id}.about`, message && `${id}.mistake`].filter(Boolean).join(" ") || undefined;
  return (
    <div className={message ? `${styles.row} ${styles.wrong}` : styles.row}>
      <div className={styles.label}>
        {group ? <span id={`${id}.label`} className={styles.name}>{field.name}</span> : <label id={`${id}.label`} htmlFor={id} className={styles.name}>{field.name}</label>}
        {field.required && field.preset === null && <span className={styles.needed}>required</span>}
        <About field={field} id={`${id}.about`} />
      </div>
      <div className={styles.control}>
        <ValueEditor id={id} kind={kind} secret={field.secret} value={draft} onChange={change} mistakes={own} readOnly={readOnly} describedBy={describedBy} wrong={message !== null} unset={!field.required || field.preset === null} preset={presetText(field.preset)} required={field.required && field.preset === null} />
        {message && <Mistake id={`${id}.mistake`} text={message} />}
        {!readOnly && !message && field.preset !== null && isSet(field, draft) && kind.type !== "boolean" && <Default field={field} />}
      </div>
    </div>
  );
}

function About({ field, id }: { field: Field; id: string }) {
  const bounds = boundsText(field.kind);
  if (!field.about && !bounds) return null;
  return <p className={styles.about} id={id}>{field.about}{bounds && <span className={styles.bounds}>{bounds}</span>}</p>;
}

/** What is there when nothing is given; only said where the field has something else. */
function Default({ field }: { field: Field }) {
  const text = presetText(field.preset);
  return text.length <= 60 ? <p className={styles.preset}>default: {text === "" ? "empty" : text}</p> : null;
}

function presetText(preset: Json): string {
  if (preset === null) return "";
  return typeof preset === "string" ? preset : Array.isArray(preset) ? preset.map((one) => (typeof one === "string" ? one : JSON.stringify(one))).join(", ") : JSON.stringify(preset);
}

export function Mistake({ id, text }: { id?: string; text: string }) {
  return (
    <p className={styles.mistake} id={id}>
      <Icon name="warn" size={14} /> {text}
    </p>
  );
}

/** Everything that is wrong, in one place, each line leading to its field. */
export function MistakeList({ mistakes, path, title }: { mistakes: Mistakes; path: string; title: ReactNode }) {
  const found = lines(mistakes);
  const id = useId();
  if (found.length === 0) return null;
  const go = (steps: string[]) => {
    // The nearest thing that is on the page: the field, or the group around it.
    for (let end = steps.length; end > 0; end -= 1) {
      const element = document.getElementById([path, ...steps.slice(0, end)].join("."));
      if (!element) continue;
      const control = element.matches("input, select, textarea") ? element : (element.querySelector<HTMLElement>("input, select, textarea, button") ?? element);
      control.focus();
      element.scrollIntoView({ block: "center" });
      return;
    }
  };
  return (
    <div className={styles.mistakes} role="alert" aria-labelledby={id} tabIndex={-1}>
      <p id={id}><strong>{title}</strong></p>
      <ul>
        {found.map(({ path: steps, message }) => (
          <li key={`${steps.join(".")}:${message}`}>
            {steps.length > 0 && <button type="button" onClick={() => go(steps)}>{steps.map(readable).join(" › ")}</button>} {message}
          </li>
        ))}
      </ul>
    </div>
  );
}

/** Places in lists count from 1 for people. */
const readable = (step: string): string => (/^\d+$/.test(step) ? String(Number(step) + 1) : step);
