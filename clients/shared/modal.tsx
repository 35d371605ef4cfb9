/** The frame of the dialogs of both pages. */

import type { Signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useId, useLayoutEffect, useRef } from "preact/hooks";

interface ModalProps {
  /** The number of dialogs that are open. */
  dialogs: Signal<number>;
  title: ComponentChildren;
  /** The button that closes it. */
  closeButton: ComponentChildren;
  /** Messages of the page, which a dialog would cover. */
  toasts: ComponentChildren;
  /** Whether a press beside the dialog closes it. */
  closesBeside?: boolean;
  onClose: () => void;
  children: ComponentChildren;
}

/** A modal dialog; the browser keeps the focus in it and restores it afterwards. */
export function Modal(props: ModalProps) {
  const { dialogs } = props;
  const ref = useRef<HTMLDialogElement>(null);
  const close = useRef(props.onClose);
  close.current = props.onClose;
  const titleId = useId();
  // Immediately, not in the next frame, so that no keystroke is lost.
  useLayoutEffect(() => {
    const dialog = ref.current!;
    const onClose = () => close.current();
    dialog.addEventListener("close", onClose);
    dialog.showModal();
    dialogs.value += 1;
    return () => {
      dialogs.value -= 1;
      // Its event would come later, and might close another dialog.
      dialog.removeEventListener("close", onClose);
      dialog.close();
    };
  }, []);
  const onClick = (event: MouseEvent) => {
    if (props.closesBeside && event.target === ref.current) props.onClose();
  };
  return (
    <dialog ref={ref} aria-labelledby={titleId} onClick={onClick}>
      <div class="dialog">
        <header>
          <h2 id={titleId}>{props.title}</h2>
          {props.closeButton}
        </header>
        {props.children}
        {props.toasts}
      </div>
    </dialog>
  );
}
