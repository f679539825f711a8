import { Link, Outlet, useLocation, useNavigate } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import { markDropsSeen, useHealth } from "../api/ledger";
import { Icon, type IconName } from "../components/Icon";
import { Button } from "../components/Button";
import { Toasts } from "../components/Toasts";
import { formatCount } from "../lib/numbers";
import { reasonText } from "../lib/reasons";
import styles from "./Frame.module.css";
import { useKeys } from "./keys";
import { KeysDialog } from "./KeysDialog";
import { Palette } from "./Palette";
import { TopBar } from "./TopBar";
import { toggleTheme } from "./settings";
import { SignIn } from "./SignIn";
import { rangeSearch, useView } from "./view";

const PAGES: { to: "/overview" | "/traffic" | "/endpoints" | "/errors" | "/countries" | "/users" | "/gateway" | "/health" | "/connect"; /** Other paths of the same page. */ also?: string[]; name: string; icon: IconName; key: string }[] = [
  { to: "/overview", name: "Overview", icon: "overview", key: "o" },
  { to: "/traffic", name: "Traffic", icon: "traffic", key: "t" },
  { to: "/endpoints", name: "Endpoints", icon: "endpoints", key: "e" },
  { to: "/errors", name: "Errors", icon: "warn", key: "r" },
  { to: "/countries", name: "Countries", icon: "globe", key: "m" },
  { to: "/users", also: ["/companies", "/callers"], name: "Users", icon: "users", key: "u" },
  { to: "/gateway", name: "Gateway", icon: "gateway", key: "w" },
  { to: "/health", name: "Health", icon: "health", key: "h" },
  { to: "/connect", name: "Connect", icon: "connect", key: "c" },
];

const isOn = (page: (typeof PAGES)[number], path: string): boolean => [page.to, ...(page.also ?? [])].some((start) => path.startsWith(start));

/** What stands around every page. */
export function Frame() {
  const [dialog, setDialog] = useState<"palette" | "keys" | null>(null);
  const navigate = useNavigate();
  const view = useView();
  const { locked } = useHealth();
  const path = useLocation({ select: (location) => location.pathname });
  const shared = { ...rangeSearch(view.range), q: view.search.q };
  const go = (to: (typeof PAGES)[number]["to"]) => void navigate({ to, search: shared });

  useKeys({
    "Mod+k": () => setDialog("palette"),
    "?": () => setDialog("keys"),
    d: toggleTheme,
    ...Object.fromEntries(PAGES.map((page) => [`g ${page.key}`, () => go(page.to)])),
  });

  useEffect(() => {
    const page = PAGES.find((one) => isOn(one, path));
    document.title = page ? `${page.name} · weir` : "weir";
  }, [path]);

  // A new page begins at its top, unless the link leads to a place in it.
  const main = useRef<HTMLElement>(null);
  useEffect(() => {
    if (location.hash === "") main.current?.scrollTo(0, 0);
  }, [path]);

  return (
    <div className={styles.frame}>
      <a className={styles.skip} href="#main">Skip to the page</a>
      <TopBar onPalette={() => setDialog("palette")} onKeys={() => setDialog("keys")} />
      <Nav shared={shared} />
      <main id="main" ref={main} className={styles.main} tabIndex={-1}>
        <LossLine />
        {locked ? <SignIn /> : <Outlet />}
      </main>
      <Palette open={dialog === "palette"} onClose={() => setDialog(null)} onKeys={() => setDialog("keys")} />
      <KeysDialog open={dialog === "keys"} onClose={() => setDialog(null)} />
      <Toasts />
    </div>
  );
}

function Nav({ shared }: { shared: object }) {
  const health = useHealth();
  const path = useLocation({ select: (location) => location.pathname });
  return (
    <nav className={styles.nav} aria-label="Pages">
      <ul>
        {PAGES.map((page) => (
          <li key={page.to}>
            <Link to={page.to} search={shared} className={isOn(page, path) ? `${styles.item} ${styles.active}` : styles.item} aria-current={isOn(page, path) ? "page" : undefined} title={`${page.name} (g ${page.key})`}>
              <Icon name={page.icon} />
              <span className={styles.itemName}>{page.name}</span>
              {page.to === "/health" && (
                <span className={`${styles.dot} ${styles[health.level]}`} title={health.sentence}>
                  <span className="visually-hidden">: {health.sentence}</span>
                </span>
              )}
            </Link>
          </li>
        ))}
      </ul>
    </nav>
  );
}

/** The amber line of every page: that weir cannot be reached, or what was lost since somebody last looked, and where. */
function LossLine() {
  const { lost, ledger, offline } = useHealth();
  const onHealth = useLocation({ select: (location) => location.pathname === "/health" });
  if (offline) {
    return (
      <div className={styles.loss} role="status">
        <Icon name="warn" />
        <span><strong>weir does not answer.</strong> Reconnecting… What is shown is from before.</span>
      </div>
    );
  }
  if (lost.length === 0 || !ledger || onHealth) return null;
  const total = lost.reduce((sum, drop) => sum + drop.count, 0);
  const worst = [...lost].sort((a, b) => b.count - a.count)[0]!;
  return (
    <div className={styles.loss} role="status">
      <Icon name="warn" />
      <span>
        <strong>{formatCount(total)} {total === 1 ? "call" : "calls"} dropped</strong>: {reasonText(worst.reason)} at {worst.line}
        {lost.length > 1 && ` and ${lost.length - 1} more`}.
      </span>
      <Link to="/health">Health</Link>
      <Button look="quiet" onClick={() => markDropsSeen(ledger)}>Seen</Button>
    </div>
  );
}
