/** The frame of all dialogs, and the one that asks before something cannot be undone. */

import type { ComponentChildren } from "preact";
import { useId, useLayoutEffect, useRef } from "preact/hooks";

import type { Session } from "../state/session.js";
import { Button, IconButton, Toasts, useWork } from "./parts.js";

/** A dialog in front of the page; the browser keeps the focus in it and gives it back. */
export function Dialog(props: {
  session: Session;
  title: ComponentChildren;
  onClose: () => void;
  children: ComponentChildren;
}) {
  const { dialogs } = props.session;
  const ref = useRef<HTMLDialogElement>(null);
  const close = useRef(props.onClose);
  close.current = props.onClose;
  const titleId = useId();
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
  return (
    <dialog ref={ref} aria-labelledby={titleId}>
      <div class="dialog">
        <header>
          <h2 id={titleId}>{props.title}</h2>
          <IconButton icon="close" label="Close" onClick={props.onClose} />
        </header>
        {props.children}
        <Toasts session={props.session} inDialog />
      </div>
    </dialog>
  );
}

/** A form in a dialog: it closes when its work is done, and says why it is not. */
export function FormDialog(props: {
  session: Session;
  title: ComponentChildren;
  action: string;
  isDanger?: boolean;
  canSubmit?: boolean;
  onClose: () => void;
  onSubmit: () => Promise<void>;
  children: ComponentChildren;
}) {
  const { isBusy, error, run } = useWork();
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    if (await run(props.onSubmit)) props.onClose();
  };
  return (
    <Dialog session={props.session} title={props.title} onClose={props.onClose}>
      <form onSubmit={(event) => void submit(event)}>
        {props.children}
        {error && (
          <p class="error" role="alert">
            {error}
          </p>
        )}
        <div class="actions">
          <Button onClick={props.onClose}>Cancel</Button>
          <Button type="submit" kind={props.isDanger ? "danger" : "primary"} disabled={isBusy || props.canSubmit === false}>
            {props.action}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
