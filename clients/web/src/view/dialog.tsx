/** The frame of all dialogs. */

import type { ComponentChildren } from "preact";
import { useId, useLayoutEffect, useRef } from "preact/hooks";

import type { Chat } from "../state/session.js";
import { IconButton } from "./parts.js";
import { Toasts } from "./toasts.js";

/** A modal dialog; the browser keeps the focus in it and restores it afterwards. */
export function Dialog(props: {
  chat: Chat;
  title: ComponentChildren;
  onClose: () => void;
  children: ComponentChildren;
}) {
  const { dialogs } = props.chat;
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
  const closeOnBackdrop = (event: MouseEvent) => {
    if (event.target === ref.current) props.onClose();
  };
  return (
    <dialog ref={ref} aria-labelledby={titleId} onClick={closeOnBackdrop}>
      <div class="dialog">
        <header>
          <h2 id={titleId}>{props.title}</h2>
          <IconButton icon="close" label="Close" onClick={props.onClose} />
        </header>
        {props.children}
        <Toasts chat={props.chat} inDialog />
      </div>
    </dialog>
  );
}
