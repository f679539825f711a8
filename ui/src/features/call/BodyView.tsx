import { useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useState } from "react";
import { bodyAddress, getBody, type BodySide } from "../../api/client";
import type { Body } from "../../api/types";
import { Button } from "../../components/Button";
import { ErrorNotice } from "../../components/ErrorNotice";
import { Icon } from "../../components/Icon";
import { formatBytes, formatCount } from "../../lib/numbers";
import { useDelayed } from "../../lib/use-delayed";
import { bodySentence, FIRST_PIECE, isImage, kindOf, textOf } from "./body-data";
import styles from "./BodyView.module.css";
import { JsonTree, type TreeFilter } from "./JsonTree";
import { HexView, TextView } from "./TextView";
import { useJson } from "./use-json";

type Props = { id: string; side: BodySide; body: Body; onFilter: TreeFilter };
type Look = "tree" | "graphql" | "raw" | "image" | "hex";
const LOOK_NAMES: Record<Look, string> = { tree: "Tree", graphql: "GraphQL", raw: "Raw", image: "Image", hex: "Hex" };

/** A body in the form that suits it. What is missing is said in a sentence, never shown as an empty box. */
export function BodyView({ id, side, body, onFilter }: Props) {
  const [all, setAll] = useState(false);
  const sentence = bodySentence(body, side);
  const kept = body.captured !== "no" && body.captured_size > 0;
  const piece = useQuery({
    queryKey: ["body", id, side, all],
    queryFn: ({ signal }) => getBody(id, side, all ? undefined : FIRST_PIECE, undefined, signal),
    enabled: kept,
    staleTime: Infinity,
    gcTime: 30_000,
    placeholderData: (before) => before,
  });
  const late = useDelayed(piece.isPending && kept);
  return (
    <div className={styles.body}>
      {sentence && <p className={sentence.tone === "warn" ? `${styles.sentence} ${styles.warn}` : styles.sentence}>{sentence.tone === "warn" && <Icon name="warn" size={14} />}{sentence.text}</p>}
      {late && <p className={styles.sentence}>Fetching the body…</p>}
      {piece.error && <ErrorNotice error={piece.error} onRetry={() => void piece.refetch()} />}
      {piece.data && <Loaded id={id} side={side} body={body} bytes={piece.data.bytes} total={piece.data.total} onAll={() => setAll(true)} onFilter={onFilter} />}
    </div>
  );
}

type LoadedProps = Props & { bytes: Uint8Array<ArrayBuffer>; total: number; onAll(): void };

function Loaded({ id, side, body, bytes, total, onAll, onFilter }: LoadedProps) {
  const whole = bytes.length >= total;
  const text = useMemo(() => textOf(bytes, !whole || body.captured === "cut"), [bytes, whole, body.captured]);
  const kind = kindOf(body, text);
  const json = useJson(kind === "json" && whole ? text : null);
  const graphql = useMemo(() => (kind === "json" && whole && text !== null && text.length < 200_000 ? graphqlDocument(text) : null), [kind, whole, text]);
  const looks: Look[] = [
    ...(kind === "json" && (json.tape || !json.error) && whole ? ["tree" as const] : []),
    ...(graphql ? ["graphql" as const] : []),
    ...(isImage(body) && whole && body.captured === "whole" ? ["image" as const] : []),
    ...(text !== null && kind !== "binary" ? ["raw" as const] : []),
    "hex" as const,
  ];
  const [chosen, setChosen] = useState<Look | null>(null);
  const look = chosen && looks.includes(chosen) ? chosen : looks[0]!;
  const [find, setFind] = useState("");
  const [hit, setHit] = useState(0);
  const [hits, setHits] = useState(0);
  useEffect(() => setHit(0), [find, look]);
  const findable = look === "tree" || look === "raw";
  const label = `${side} body`;
  return (
    <>
      <div className={styles.tools}>
        <div className={styles.looks} role="group" aria-label={`Show ${label} as`}>
          {looks.map((one) => <button key={one} type="button" aria-pressed={one === look} onClick={() => setChosen(one)}>{LOOK_NAMES[one]}</button>)}
        </div>
        {findable && (
          <span className={styles.find}>
            <input
              value={find} placeholder="Find" aria-label={`Find in ${label}`} data-find={side} spellCheck={false} autoComplete="off" onFocus={() => !whole && onAll()} onChange={(event) => setFind(event.target.value)}
              onKeyDown={(event) => {
                if (event.key === "Enter") setHit(hit + (event.shiftKey ? -1 : 1));
                else if (event.key === "Escape" && find !== "") setFind("");
                else return;
                event.preventDefault();
                event.stopPropagation();
              }}
            />
            {find !== "" && <span className={styles.hits} role="status">{hits === 0 ? "none" : `${formatCount((((hit % hits) + hits) % hits) + 1)} of ${formatCount(hits)}`}</span>}
          </span>
        )}
        <span className={styles.facts}>{body.media_type?.split(";")[0]} {formatBytes(total)}{body.coding !== "" && ` (${body.coding})`}</span>
        <a className={styles.download} href={bodyAddress(id, side)} download={`${side}-body-${id}`} title="Save the body" aria-label={`Save ${label}`}><Icon name="download" size={14} /></a>
      </div>
      {!whole && <p className={`${styles.sentence} ${styles.more}`}>The first {formatBytes(bytes.length)} of {formatBytes(total)}. <Button onClick={onAll}>Show all</Button></p>}
      {kind === "json" && json.error && whole && <p className={styles.sentence}>Not valid JSON: {json.error}.</p>}
      {look === "tree" && (json.tape ? <JsonTree tape={json.tape} family={`${side}.body`} find={find} hit={hit} onHits={setHits} onFilter={onFilter} label={label} /> : <p className={styles.sentence}>Reading…</p>)}
      {look === "graphql" && graphql && <TextView text={graphql} find="" hit={0} onHits={setHits} label={`${label}, GraphQL document`} />}
      {look === "raw" && text !== null && <TextView text={text} find={find} hit={hit} onHits={setHits} label={label} />}
      {look === "image" && <Thumbnail bytes={bytes} type={body.media_type!.split(";")[0]!} />}
      {look === "hex" && <HexView bytes={bytes} label={`${label} in hexadecimal`} />}
    </>
  );
}

/** The document of a GraphQL request with its own line breaks. */
function graphqlDocument(text: string): string | null {
  try {
    const value: unknown = JSON.parse(text);
    const query = value && typeof value === "object" && "query" in value ? value.query : null;
    return typeof query === "string" && /[{}]/.test(query) ? query : null;
  } catch {
    return null;
  }
}

/** A raster image from memory: it cannot run anything and cannot ask for anything. */
function Thumbnail({ bytes, type }: { bytes: Uint8Array<ArrayBuffer>; type: string }) {
  const [url, setUrl] = useState<string | null>(null);
  const [broken, setBroken] = useState(false);
  useEffect(() => {
    const made = URL.createObjectURL(new Blob([bytes], { type }));
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [bytes, type]);
  if (broken) return <p className={styles.sentence}>Not an image that can be drawn.</p>;
  return <div className={styles.thumbnail}>{url && <img src={url} alt="captured body" onError={() => setBroken(true)} />}</div>;
}
