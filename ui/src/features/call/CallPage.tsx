import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { useEffect } from "react";
import { useKeys } from "../../app/keys";
import { useView } from "../../app/view";
import { addFilter } from "../../lib/query-text";
import { visible } from "../../lib/hostile";
import { copyCurl, copyLink, saveHar } from "../traffic/row-actions";
import { CallError, useCall, useFindKey } from "./CallPanel";
import styles from "./CallPage.module.css";
import { CallView } from "./CallView";

/** One call on its own page, for links and for room. */
export function CallPage() {
  const { id } = useParams({ from: "/traffic/$id" });
  const view = useView();
  const navigate = useNavigate();
  const call = useCall(id);
  const back = () => void navigate({ to: "/traffic", search: { ...view.search, call: id } });
  useFindKey();
  useKeys({ Escape: back, c: () => void copyCurl(id, "posix"), h: () => saveHar(id), y: () => void copyLink() });
  useEffect(() => {
    if (call.data) document.title = `${visible(call.data.request.method)} ${visible(call.data.request.path)} · weir`;
  }, [call.data]);
  return (
    <div className={styles.page}>
      <p className={styles.back}><Link to="/traffic" search={{ ...view.search, call: id }}>← Back to the list</Link></p>
      {call.error && <CallError error={call.error} onRetry={() => void call.refetch()} />}
      {call.data && (
        <div className={styles.card}>
          <CallView
            key={call.data.id} call={call.data} heading="h1"
            onFilter={(field, value, without) => void navigate({ to: "/traffic", search: { ...view.search, call: undefined, q: addFilter(view.q, field, value, without) } })}
          />
        </div>
      )}
    </div>
  );
}
