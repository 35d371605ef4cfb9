/** Asks before a message is deleted. */

import type { Chat } from "../state/session.js";
import type { MessageItem } from "../state/timeline.js";
import { Dialog } from "./dialog.js";
import { Excerpt } from "./message-parts.js";

export function DeleteDialog(props: { chat: Chat; item: MessageItem; onClose: () => void; onDelete: () => void }) {
  return (
    <Dialog chat={props.chat} title="Delete this message?" onClose={props.onClose}>
      <p class="quote">
        <bdi class="who">{props.item.author}</bdi>
        <Excerpt item={props.item} />
      </p>
      <p class="hint">Nobody will see its text here any more. This cannot be undone.</p>
      <div class="actions">
        <button type="button" onClick={props.onClose}>
          Cancel
        </button>
        <button
          type="button"
          class="danger"
          onClick={() => {
            props.onClose();
            props.onDelete();
          }}
        >
          Delete message
        </button>
      </div>
    </Dialog>
  );
}
