import { Link, useLocation } from "@tanstack/react-router";
import { Button } from "../components/Button";
import { Icon } from "../components/Icon";
import { refresh } from "./refresh";
import { RangePicker } from "./RangePicker";
import { isDark, toggleTheme, useSettings } from "./settings";
import styles from "./TopBar.module.css";

export function TopBar({ onPalette, onKeys }: { onPalette(): void; onKeys(): void }) {
  useSettings();
  const hasRange = useLocation({ select: (location) => /^\/(traffic|overview|endpoints|errors|countries|callers|users(\/.+)?|companies(\/.+)?)$/.test(location.pathname) });
  const dark = isDark();
  return (
    <header className={styles.bar}>
      <Link to="/traffic" className={styles.brand} aria-label="weir, to the traffic">
        <svg width="22" height="22" viewBox="0 0 32 32" aria-hidden="true">
          <rect width="32" height="32" rx="7" fill="#0f6e84" />
          <path d="M6 9h7.5c2.5 0 2.5 0 2.5 3v9c0 2.5.5 3 3 3h7" fill="none" stroke="#fff" strokeWidth="3.2" strokeLinecap="round" />
          <path d="M6 15h4.5c1.5 0 1.5.3 1.5 2v7M21 17h5M21 11h5" fill="none" stroke="#fff" strokeOpacity=".55" strokeWidth="2.4" strokeLinecap="round" />
        </svg>
        <span>weir</span>
      </Link>
      <button type="button" className={styles.jump} onClick={onPalette}>
        <Icon name="search" />
        <span>Search or jump to…</span>
        <kbd aria-hidden="true">{/Mac|iPhone/.test(navigator.platform) ? "⌘K" : "Ctrl K"}</kbd>
      </button>
      <div className={styles.right}>
        {hasRange && <RangePicker onRefresh={refresh} />}
        <Button look="quiet" icon={dark ? "sun" : "moon"} label={dark ? "Light theme" : "Dark theme"} shortcut="d" onClick={toggleTheme} />
        <Button look="quiet" icon="keys" label="Keys" shortcut="?" onClick={onKeys} className={styles.keys} />
      </div>
    </header>
  );
}
