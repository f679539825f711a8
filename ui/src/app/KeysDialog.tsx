import { Modal } from "../components/Modal";
import { KEY_HELP } from "./keys";
import styles from "./KeysDialog.module.css";
import { changeSettings, useSettings } from "./settings";

export function KeysDialog({ open, onClose }: { open: boolean; onClose(): void }) {
  const { letters } = useSettings();
  return (
    <Modal open={open} onClose={onClose} title="Keys">
      <div className={styles.groups}>
        {KEY_HELP.map((group) => (
          <section key={group.title}>
            <h3>{group.title}</h3>
            <dl>
              {group.keys.map(([key, what]) => (
                <div key={key}>
                  <dt>{key.split(" ").filter(Boolean).map((part) => <kbd key={part}>{part}</kbd>)}</dt>
                  <dd>{what}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
      <label className={styles.switch}>
        <input type="checkbox" checked={letters} onChange={(event) => changeSettings({ letters: event.target.checked })} />
        Single letters act as shortcuts
      </label>
    </Modal>
  );
}
