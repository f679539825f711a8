import { Button } from "../../components/Button";
import { toast } from "../../components/Toasts";
import { copyCurls, saveHars } from "./row-actions";
import styles from "./SelectionBar.module.css";

export function SelectionBar({ ids, onClear }: { ids: string[]; onClear(): void }) {
  const tell = (error: unknown) => toast(error instanceof Error ? error.message : "That did not work");
  return (
    <div className={styles.bar} role="region" aria-label="Selected calls">
      <strong>{ids.length} selected</strong>
      <Button icon="copy" onClick={() => void copyCurls(ids).catch(tell)}>Copy as cURL</Button>
      <Button icon="download" onClick={() => void saveHars(ids).catch(tell)}>HAR</Button>
      <Button look="quiet" icon="close" onClick={onClear}>Clear</Button>
    </div>
  );
}
