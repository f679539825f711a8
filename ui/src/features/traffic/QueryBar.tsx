import { useEffect, useImperativeHandle, useMemo, useRef, useState, type KeyboardEvent, type Ref } from "react";
import type { ApiError } from "../../api/client";
import type { Problem } from "../../api/types";
import { remember, useSettings } from "../../app/settings";
import { Button } from "../../components/Button";
import { Captured } from "../../components/Captured";
import { Icon } from "../../components/Icon";
import { formatShort } from "../../lib/numbers";
import { chips, removeChip, tokenize } from "../../lib/query-text";
import type { TimeRange } from "../../lib/time";
import { useFields, useFieldValues } from "./explore";
import styles from "./QueryBar.module.css";
import { placeAt, suggestFields, suggestOperators, suggestValues, valuePrefix, type Suggestion } from "./suggest";

export type QueryBarHandle = { focus(): void };

type ProblemItem = NonNullable<Problem["errors"]>[number];

type Props = { q: string; range: TimeRange; error: ApiError | null; onRun(q: string): void; ref?: Ref<QueryBarHandle> };

/** One line of query text with what can be written at the caret, and the same query as parts that can be taken away. */
export function QueryBar({ q, range, error, onRun, ref }: Props) {
  const input = useRef<HTMLInputElement>(null);
  const [draft, setDraft] = useState(q);
  const [caret, setCaret] = useState(q.length);
  const [open, setOpen] = useState(false);
  const [chosen, setChosen] = useState(-1);
  const [scroll, setScroll] = useState(0);
  useEffect(() => setDraft(q), [q]);
  useImperativeHandle(ref, () => ({ focus: () => { input.current?.focus(); input.current?.select(); } }), []);

  const suggestions = useSuggestions(draft, caret, range, open);
  useEffect(() => setChosen(-1), [draft, caret]);
  const problem = error?.about("q") ?? null;
  const shownProblem = error && draft === q ? problem : null;

  const run = (text: string) => {
    setOpen(false);
    remember(text);
    onRun(text.trim());
  };
  const take = (suggestion: Suggestion) => {
    setDraft(suggestion.result);
    setCaret(suggestion.caret);
    // React sets the value first, then the caret can go where it belongs.
    requestAnimationFrame(() => input.current?.setSelectionRange(suggestion.caret, suggestion.caret));
    if (suggestion.kind === "history") run(suggestion.result);
    else setOpen(true);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const count = suggestions.length;
    if (event.key === "ArrowDown" && count > 0) {
      setChosen(open ? (chosen + 1) % count : 0);
      setOpen(true);
    } else if (event.key === "ArrowUp" && open && count > 0) setChosen((chosen - 1 + count) % count);
    else if (event.key === "Enter") {
      const suggestion = open ? suggestions[chosen] : undefined;
      if (suggestion) take(suggestion);
      else run(draft);
    } else if (event.key === "Tab" && open && suggestions[Math.max(0, chosen)] && draft.trim() !== "" && !event.shiftKey) take(suggestions[Math.max(0, chosen)]!);
    else if (event.key === "Escape") {
      if (open) setOpen(false);
      else if (draft !== q) setDraft(q);
      else input.current?.blur();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const follow = () => {
    setCaret(input.current?.selectionStart ?? 0);
    setScroll(input.current?.scrollLeft ?? 0);
  };
  const showList = open && suggestions.length > 0;
  return (
    <div className={styles.wrap} onBlur={(event) => !event.currentTarget.contains(event.relatedTarget) && setOpen(false)}>
      <div className={shownProblem ? `${styles.bar} ${styles.invalid}` : styles.bar} role="search">
        <Icon name="search" />
        <div className={styles.field}>
          <div className={styles.colors} aria-hidden="true"><span style={{ translate: `${-scroll}px 0` }}><Colored text={draft} /></span></div>
          <input
            ref={input} className={styles.input} value={draft} placeholder="Search anything, or status:>=500 -path:/health “card declined”"
            onChange={(event) => { setDraft(event.target.value); setOpen(true); follow(); }} onKeyDown={onKeyDown} onSelect={follow} onScroll={follow} onClick={() => setOpen(true)}
            role="combobox" aria-label="Query" aria-expanded={showList} aria-controls="query-list" aria-autocomplete="list" aria-activedescendant={showList && chosen >= 0 ? `query-option-${chosen}` : undefined}
            aria-invalid={shownProblem !== null} aria-describedby={shownProblem ? "query-problem" : undefined} autoComplete="off" autoCapitalize="off" spellCheck={false} enterKeyHint="search"
          />
        </div>
        {draft !== "" && <Button look="quiet" icon="close" label="Clear the query" onClick={() => { setDraft(""); run(""); input.current?.focus(); }} className={styles.clear} />}
        <kbd className={styles.slash} aria-hidden="true">/</kbd>
      </div>
      <ul id="query-list" role="listbox" aria-label="Suggestions" className={styles.list} hidden={!showList}>
        {showList && suggestions.map((suggestion, index) => (
          <li
            key={suggestion.key} id={`query-option-${index}`} role="option" aria-selected={index === chosen} className={styles.option}
            onMouseDown={(event) => { event.preventDefault(); take(suggestion); }} ref={index === chosen ? (element) => element?.scrollIntoView({ block: "nearest" }) : undefined}
          >
            <span className={styles[suggestion.kind]}><Captured text={suggestion.text} /></span>
            {suggestion.about && <span className={styles.about}>{suggestion.about}</span>}
            {suggestion.count !== undefined && <span className={styles.count}>{formatShort(suggestion.count)}</span>}
            {suggestion.kind === "history" && <Icon name="clock" size={12} />}
          </li>
        ))}
      </ul>
      {shownProblem && <Problem text={draft} problem={shownProblem} />}
      {!shownProblem && <Chips q={q} onRun={run} />}
    </div>
  );
}

function useSuggestions(draft: string, caret: number, range: TimeRange, open: boolean): Suggestion[] {
  const fields = useFields();
  const { history } = useSettings();
  const place = useMemo(() => placeAt(draft, caret), [draft, caret]);
  const prefix = place.kind === "value" ? valuePrefix(place.typed) : null;
  const field = place.kind === "value" ? fields.data?.fields.find((one) => one.name === place.field || one.aliases.includes(place.field)) : undefined;
  const valued = field === undefined || ["keyword", "integer", "bool"].includes(field.type);
  const values = useFieldValues(place.kind === "value" ? place.field : "", place.kind === "value" ? place.rest : "", range, { prefix: prefix || undefined, limit: 20, enabled: open && prefix !== null && valued });
  return useMemo(() => {
    if (!open) return [];
    if (place.kind === "field") return suggestFields(draft, place, fields.data, history);
    const known = prefix !== null && valued && values.data && !values.error ? values.data.values : [];
    return [...suggestOperators(draft, place, field), ...suggestValues(draft, place, known.filter(({ value }) => String(value ?? "").toLowerCase().startsWith((prefix ?? "").toLowerCase())))];
  }, [open, place, draft, fields.data, history, prefix, valued, values.data, values.error, field]);
}

/** The text again with its tokens coloured; lies exactly behind the input. */
function Colored({ text }: { text: string }) {
  return tokenize(text).map((token) => {
    const raw = text.slice(token.start, token.end);
    if (token.kind === "space") return raw;
    if (token.kind !== "term") return <b key={token.start} className={styles.word}>{raw}</b>;
    const minus = token.negated ? <span className={styles.minus}>-</span> : null;
    if (token.field === undefined) return <span key={token.start} className={styles.phrase}>{minus}{raw.slice(token.negated ? 1 : 0)}</span>;
    const value = text.slice(token.valueStart, token.end);
    const operator = /^(>=|<=|>|<)/.exec(value)?.[0] ?? "";
    return (
      <span key={token.start}>
        {minus}<span className={styles.name}>{token.field}:</span><span className={styles.minus}>{operator}</span><span className={styles.operand}>{value.slice(operator.length)}</span>
      </span>
    );
  });
}

/** The server's words under the token that they are about. */
function Problem({ text, problem }: { text: string; problem: ProblemItem }) {
  const start = problem.offset ?? 0;
  const end = problem.length ? start + problem.length : text.length;
  return (
    <div id="query-problem" className={styles.problem} role="alert">
      {typeof problem.offset === "number" && text !== "" && (
        <div className={styles.pointer} aria-hidden="true"><span>{text.slice(0, start)}</span><mark>{text.slice(start, Math.max(end, start + 1)) || " "}</mark></div>
      )}
      <p><Captured text={sentence(problem.detail)} /></p>
    </div>
  );
}

const sentence = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

function Chips({ q, onRun }: { q: string; onRun(q: string): void }) {
  const parts = useMemo(() => chips(q), [q]);
  if (parts.length === 0) return null;
  const toggle = (start: number, end: number) => {
    const text = q.slice(start, end);
    const turned = /^NOT\s+/.test(text) ? text.replace(/^NOT\s+/, "") : text.startsWith("-") ? text.slice(1) : text.startsWith("(") ? `NOT ${text}` : `-${text}`;
    onRun(q.slice(0, start) + turned + q.slice(end));
  };
  return (
    <ul className={styles.chips} aria-label="Parts of the query">
      {parts.map((chip) => (
        <li key={chip.start} className={chip.negated ? `${styles.chip} ${styles.negated}` : styles.chip}>
          <button type="button" className={styles.chipText} onClick={() => toggle(chip.start, chip.end)} title={chip.negated ? "Click: with these instead" : "Click: without these instead"}>
            {chip.negated && <strong>not </strong>}<Captured text={chip.label} />
          </button>
          <button type="button" className={styles.chipClose} onClick={() => onRun(removeChip(q, chip))} aria-label={`Remove ${chip.negated ? "not " : ""}${chip.label}`}><Icon name="close" size={11} /></button>
        </li>
      ))}
    </ul>
  );
}
