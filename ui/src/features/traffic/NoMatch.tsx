import { Button } from "../../components/Button";
import { Captured } from "../../components/Captured";
import { Notice } from "../../components/Notice";
import { formatTotal } from "../../lib/numbers";
import { chips, removeChip, type Chip } from "../../lib/query-text";
import { ALL_TIME, describeRange, formatFull, type TimeRange } from "../../lib/time";
import { useSettings } from "../../app/settings";
import { useCount } from "./explore";

type Props = { q: string; range: TimeRange; onQuery(q: string): void; onRange(range: TimeRange): void };

/** Nothing matches: what was asked in words, which part takes most away, and where the nearest match is. */
export function NoMatch({ q, range, onQuery, onRange }: Props) {
  const { zone } = useSettings();
  const parts = chips(q);
  const words = parts.map((part) => `${part.negated ? "not " : ""}${part.label}`).join(", and ");
  const wider = useCount(q, ALL_TIME, range.from !== "all");
  const latest = wider.data?.exchanges[0];
  return (
    <Notice title="No call matches">
      <p>
        {words && <><Captured text={words} />, </>}
        {describeRange(range, Date.now(), zone).toLowerCase()}
      </p>
      {latest && (
        <Button look="strong" onClick={() => onRange(ALL_TIME)}>
          Show all time: {formatTotal(wider.data!.total)}
        </Button>
      )}
      {latest && <p>The latest one was at {formatFull(Date.parse(latest.start_time), zone)}.</p>}
      {wider.data && !latest && range.from !== "all" && <p>Nothing that is kept matches, whatever the time.</p>}
      {parts.length > 1 && parts.slice(0, 6).map((part) => <Without key={part.start} q={q} part={part} range={range} onQuery={onQuery} />)}
      {parts.length === 1 && <Button onClick={() => onQuery("")}>Clear the query</Button>}
    </Notice>
  );
}

function Without({ q, part, range, onQuery }: { q: string; part: Chip; range: TimeRange; onQuery(q: string): void }) {
  const rest = removeChip(q, part);
  const count = useCount(rest, range);
  if (!count.data || count.data.total.value === 0) return null;
  return (
    <Button onClick={() => onQuery(rest)}>
      Without <Captured text={`${part.negated ? "not " : ""}${part.label}`} />: {formatTotal(count.data.total)}
    </Button>
  );
}
