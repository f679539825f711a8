import type { ButtonHTMLAttributes, Ref } from "react";
import { Icon, type IconName } from "./Icon";
import styles from "./Button.module.css";

type Props = ButtonHTMLAttributes<HTMLButtonElement> & {
  look?: "plain" | "quiet" | "strong";
  icon?: IconName;
  /** The name of a button that shows only an icon. */
  label?: string;
  shortcut?: string;
  ref?: Ref<HTMLButtonElement>;
};

/** Every button. With `label` and no children it is square, and the label is its name and title. */
export function Button({ look = "plain", icon, label, shortcut, children, className, ...rest }: Props) {
  const title = rest.title ?? (label && shortcut ? `${label} (${shortcut})` : label);
  const square = children === undefined && icon !== undefined;
  return (
    <button type="button" {...rest} title={title} aria-label={label ?? rest["aria-label"]} aria-keyshortcuts={undefined} className={[styles.button, styles[look], square && styles.square, className].filter(Boolean).join(" ")}>
      {icon && <Icon name={icon} />}
      {children}
    </button>
  );
}
