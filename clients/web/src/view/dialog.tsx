/** The frame of all dialogs. */

import type { ComponentChildren } from "preact";

import { Modal } from "../../../shared/modal.js";
import type { Chat } from "../state/session.js";
import { IconButton } from "./parts.js";
import { Toasts } from "./toasts.js";

/** A modal dialog, which a press beside it closes. */
export function Dialog(props: {
  chat: Chat;
  title: ComponentChildren;
  onClose: () => void;
  children: ComponentChildren;
}) {
  return (
    <Modal
      dialogs={props.chat.dialogs}
      title={props.title}
      closeButton={<IconButton icon="close" label="Close" onClick={props.onClose} />}
      toasts={<Toasts chat={props.chat} inDialog />}
      closesBeside
      onClose={props.onClose}
    >
      {props.children}
    </Modal>
  );
}
