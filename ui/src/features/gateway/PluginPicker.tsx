import { Link } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import styles from "./Gateway.module.css";
import { useGateway } from "./use-admin";

/** Which plugin to add. */
export function PluginPicker({ of }: { of?: string }) {
  const gateway = useGateway();
  const [find, setFind] = useState("");
  const plugins = gateway.data?.plugins ?? [];
  const words = find.trim().toLowerCase();
  const found = useMemo(() => plugins.filter((plugin) => `${plugin.name} ${plugin.about}`.toLowerCase().includes(words)), [plugins, words]);
  return (
    <>
      {plugins.length > 8 && <input className={styles.find} type="search" aria-label="Find a plugin" placeholder="Find a plugin" value={find} onChange={(event) => setFind(event.target.value)} />}
      <ul className={styles.picker}>
        {found.map((plugin) => (
          <li key={plugin.name}>
            <Link to="/gateway/$collection/$id" params={{ collection: "plugins", id: "new" }} search={{ of, plugin: plugin.name }}>
              <strong>{plugin.name}</strong>
              <span>{plugin.about}</span>
            </Link>
          </li>
        ))}
      </ul>
      {found.length === 0 && <p className="muted">No plugin has these words.</p>}
    </>
  );
}
