import { useRef } from "react";
import { ApiError } from "../../api/client";
import { refresh } from "../../app/refresh";
import { useKeys } from "../../app/keys";
import { useView } from "../../app/view";
import { QueryBar, type QueryBarHandle } from "./QueryBar";

/** The query bar of a page of figures: what is asked narrows all of them, and stays in the link. */
export function PageQuery({ error }: { error: unknown }) {
  const { q, range, change } = useView();
  const bar = useRef<QueryBarHandle>(null);
  useKeys({ "/": () => bar.current?.focus() });
  return <QueryBar ref={bar} q={q} range={range} error={error instanceof ApiError ? error : null} onRun={(next) => (next === q ? refresh() : change({ q: next || undefined }))} />;
}
