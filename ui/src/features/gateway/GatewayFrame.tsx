import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { ErrorNotice } from "../../components/ErrorNotice";
import { Icon } from "../../components/Icon";
import { COLLECTIONS } from "./collections";
import styles from "./Gateway.module.css";
import { useGateway } from "./use-admin";

/** What stands around every gateway page: its collections, and whether a file decides. */
export function GatewayFrame({ current, children }: { current: string; children(readOnly: boolean): ReactNode }) {
  const gateway = useGateway();
  return (
    <div className={styles.page}>
      <nav className={styles.tabs} aria-label="Gateway">
        {COLLECTIONS.filter((collection) => !collection.inner).map((collection) => (
          <Link key={collection.path} to="/gateway/$collection" params={{ collection: collection.path }} className={styles.tab} aria-current={collection.path === current ? "page" : undefined}>
            {collection.title}
          </Link>
        ))}
      </nav>
      {gateway.error && <ErrorNotice error={gateway.error} onRetry={() => void gateway.refetch()} busy={gateway.isFetching} />}
      {gateway.data?.readOnly && (
        <p className={styles.readOnly} role="status">
          <Icon name="lock" />
          <span><strong>A file configures this gateway.</strong> What it says is shown here and cannot be changed on this page: change the file, and load it again.</span>
        </p>
      )}
      {gateway.data && children(gateway.data.readOnly)}
    </div>
  );
}
