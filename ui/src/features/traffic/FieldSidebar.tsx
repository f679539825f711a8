import { useMemo, useState } from "react";
import type { Field } from "../../api/types";
import { Button } from "../../components/Button";
import { Captured, capturedTitle } from "../../components/Captured";
import { Icon } from "../../components/Icon";
import { formatCount, formatShort } from "../../lib/numbers";
import type { TimeRange } from "../../lib/time";
import { useDelayed } from "../../lib/use-delayed";
import { useFields, useFieldValues } from "./explore";
import styles from "./FieldSidebar.module.css";

export type OnFilter = (field: string, value: string | number | boolean | null, without: boolean) => void;
type Props = { q: string; range: TimeRange; onFilter: OnFilter; onClose(): void };

/** Fields that are worth a look first; the rest follows in the API's order. */
const FIRST = ["http.response.status_code", "http.route", "http.request.method", "service.name", "user.id", "server.address", "error.type", "geo.country.iso_code", "weir.company", "weir.source"];
const OPEN_FIRST = new Set(FIRST.slice(0, 5));
/** Every value is its own; a top list says nothing. */
const TYPES = new Set(["keyword", "integer", "bool"]);

export const shortName = (field: Field): string => field.aliases[0] ?? field.name;

export function FieldSidebar({ q, range, onFilter, onClose }: Props) {
  const fields = useFields();
  const [filter, setFilter] = useState("");
  const listed = useMemo(() => {
    const rank = (field: Field) => (FIRST.indexOf(field.name) + 1 || FIRST.length + 1);
    return (fields.data?.fields ?? [])
      .filter((field) => TYPES.has(field.type))
      .filter((field) => `${field.name} ${field.aliases.join(" ")}`.toLowerCase().includes(filter.toLowerCase()))
      .sort((a, b) => rank(a) - rank(b));
  }, [fields.data, filter]);
  return (
    <aside className={styles.sidebar} aria-label="Fields">
      <div className={styles.head}>
        <input className={styles.filter} value={filter} onChange={(event) => setFilter(event.target.value)} placeholder="Filter fields" aria-label="Filter field names" spellCheck={false} autoComplete="off" />
        <Button look="quiet" icon="close" label="Hide fields" onClick={onClose} />
      </div>
      <ul className={styles.fields}>
        {listed.map((field) => <FieldItem key={field.name} field={field} q={q} range={range} onFilter={onFilter} />)}
        {fields.data && listed.length === 0 && <li className={styles.none}>No field is called so. Header and body fields can be typed in the query: <code>request.header.…</code></li>}
      </ul>
    </aside>
  );
}

function FieldItem({ field, q, range, onFilter }: { field: Field; q: string; range: TimeRange; onFilter: OnFilter }) {
  const [open, setOpen] = useState(OPEN_FIRST.has(field.name));
  const [limit, setLimit] = useState(5);
  const values = useFieldValues(field.name, q, range, { limit, enabled: open });
  const slow = useDelayed(values.isFetching);
  const name = shortName(field);
  const most = Math.max(1, ...(values.data?.values ?? []).map((value) => value.count));
  return (
    <li>
      <button type="button" className={styles.name} aria-expanded={open} onClick={() => setOpen(!open)} title={`${field.name}: ${field.about}`}>
        <Icon name={open ? "down" : "right"} size={11} />
        {name}
      </button>
      {open && (
        <ul className={slow && values.data ? styles.stale : undefined} aria-busy={values.isFetching}>
          {values.error && !values.data && <li className={styles.none}>Not available: <Captured text={values.error.message} /></li>}
          {!values.data && !values.error && slow && Array.from({ length: 3 }, (_, at) => <li key={at} className={styles.skeleton} />)}
          {values.data?.values.map(({ value, count }) => (
            <li key={String(value)} className={styles.value}>
              <span className={styles.bar} style={{ width: `${(count / most) * 100}%` }} aria-hidden="true" />
              <button type="button" className={styles.text} onClick={(event) => onFilter(name, value, event.altKey)} title={`${capturedTitle(String(value ?? "none"))}: ${formatCount(count)} (click: only these, Alt: without)`}>
                {value === null || value === "" ? <em>none</em> : <Captured text={String(value)} />}
              </button>
              <span className={styles.count} title={formatCount(count)}>{values.data.approximate ? "≈" : ""}{formatShort(count)}</span>
              <span className={styles.actions}>
                <button type="button" onClick={() => onFilter(name, value, false)} title="Only these" aria-label={`Only ${name} ${capturedTitle(String(value))}`}><Icon name="plus" size={12} /></button>
                <button type="button" onClick={() => onFilter(name, value, true)} title="Without these" aria-label={`Without ${name} ${capturedTitle(String(value))}`}><Icon name="minus" size={12} /></button>
              </span>
            </li>
          ))}
          {values.data?.values.length === 0 && <li className={styles.none}>no values</li>}
          {values.data?.more && limit < 50 && <li><button type="button" className={styles.more} onClick={() => setLimit(limit === 5 ? 20 : 50)}>more</button></li>}
        </ul>
      )}
    </li>
  );
}
