import { useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useId, useState, type DragEvent } from "react";
import { importFile } from "../../api/client";
import type { ImportReport } from "../../api/types";
import { Captured } from "../../components/Captured";
import { ErrorNotice } from "../../components/ErrorNotice";
import { formatBytes, formatCount } from "../../lib/numbers";
import { guessFormat } from "./commands";
import styles from "./ImportFiles.module.css";

type Upload = { name: string; size: number; format: string; report?: ImportReport; error?: unknown };

/** Drop a HAR file or an access log; says how many of its lines were taken and which were not. */
export function ImportFiles({ onImported }: { onImported(): void }) {
  const [uploads, setUploads] = useState<Upload[]>([]);
  const [over, setOver] = useState(false);
  const client = useQueryClient();
  const id = useId();

  const take = async (files: Iterable<File>) => {
    for (const file of files) {
      const format = guessFormat(file.name, await file.slice(0, 4096).text());
      const upload: Upload = { name: file.name, size: file.size, format };
      setUploads((before) => [upload, ...before.slice(0, 9)]);
      const settle = (changes: Partial<Upload>) => setUploads((before) => before.map((one) => (one === upload || one.name === upload.name && !one.report && !one.error ? { ...one, ...changes } : one)));
      try {
        settle({ report: await importFile(format, file) });
        void client.invalidateQueries();
        onImported();
      } catch (error) {
        settle({ error });
      }
    }
  };
  const onDrop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    void take([...event.dataTransfer.files]);
  };
  return (
    <>
      <div className={over ? `${styles.zone} ${styles.over}` : styles.zone} onDragOver={(event) => { event.preventDefault(); setOver(true); }} onDragLeave={() => setOver(false)} onDrop={onDrop}>
        <p><strong>Drop a HAR file or an access log here</strong></p>
        <p className="muted">combined, common or JSON lines; nothing leaves this weir</p>
        <label htmlFor={id} className={styles.choose}>Choose a file</label>
        <input id={id} type="file" multiple className="visually-hidden" onChange={(event) => { void take([...(event.target.files ?? [])]); event.target.value = ""; }} />
      </div>
      <ul className={styles.uploads} aria-live="polite">
        {uploads.map((upload, index) => <UploadLine key={`${upload.name}-${uploads.length - index}`} upload={upload} />)}
      </ul>
    </>
  );
}

function UploadLine({ upload }: { upload: Upload }) {
  const { report } = upload;
  return (
    <li className={styles.upload}>
      <p>
        <strong><Captured text={upload.name} /></strong> <span className="muted">{formatBytes(upload.size)}, {upload.format}</span>
        {!report && !upload.error && <span> · reading…</span>}
        {report && <span> · {formatCount(report.accepted)} of {formatCount(report.offered)} calls taken</span>}
        {report && report.accepted > 0 && <> · <Link to="/traffic" search={{ from: "all" }}>See them</Link></>}
      </p>
      {upload.error !== undefined && <ErrorNotice error={upload.error} />}
      {report && report.rejected > 0 && (
        <details>
          <summary>{formatCount(report.rejected)} not taken{report.rejections.length < report.rejected && `, the first ${report.rejections.length}`}</summary>
          <ul>{report.rejections.map((one) => <li key={one.line}>line {one.line}: <Captured text={one.reason} /></li>)}</ul>
        </details>
      )}
    </li>
  );
}
