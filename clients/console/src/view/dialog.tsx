/** Dialogs: any, and a form with a button for its action. */

import type { ComponentChildren } from "preact";

import { Modal } from "../../../shared/modal.js";
import type { Session } from "../state/session.js";
import { Button, IconButton, Toasts, useWork } from "./parts.js";

/** A modal dialog. */
export function Dialog(props: {
  session: Session;
  title: ComponentChildren;
  onClose: () => void;
  children: ComponentChildren;
}) {
  return (
    <Modal
      dialogs={props.session.dialogs}
      title={props.title}
      closeButton={<IconButton icon="close" label="Close" onClick={props.onClose} />}
      toasts={<Toasts session={props.session} inDialog />}
      onClose={props.onClose}
    >
      {props.children}
    </Modal>
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
