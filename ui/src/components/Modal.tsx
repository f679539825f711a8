import * as Dialog from "@radix-ui/react-dialog";
import type { ReactNode } from "react";
import { Button } from "./Button";
import styles from "./Modal.module.css";

type Props = { open: boolean; onClose(): void; title: string; children: ReactNode; /** Shows no heading; the title is only announced. */ bare?: boolean; className?: string };

/** A dialog over the page. Focus goes in, stays in and comes back. */
export function Modal({ open, onClose, title, children, bare, className }: Props) {
  return (
    <Dialog.Root open={open} onOpenChange={(now) => !now && onClose()}>
      <Dialog.Portal>
        <Dialog.Overlay className={styles.overlay} />
        <Dialog.Content data-modal className={[styles.content, className].filter(Boolean).join(" ")} aria-describedby={undefined}>
          {bare ? (
            <Dialog.Title className="visually-hidden">{title}</Dialog.Title>
          ) : (
            <div className={styles.head}>
              <Dialog.Title>{title}</Dialog.Title>
              <Dialog.Close asChild><Button look="quiet" icon="close" label="Close" /></Dialog.Close>
            </div>
          )}
          {children}
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
