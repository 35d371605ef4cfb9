/** The dialog in which users say how they are. */

import { useState } from "preact/hooks";

import { MAX_STATUS } from "../state/presence.js";
import type { RoomConversation } from "../state/room.js";
import type { Chat } from "../state/session.js";
import { explain } from "../state/texts.js";
import { Dialog } from "./dialog.js";
import { Field } from "./parts.js";

interface StatusProps {
  chat: Chat;
  room: RoomConversation;
  onClose: () => void;
}

export function StatusDialog({ chat, room, onClose }: StatusProps) {
  const [text, setText] = useState(room.presences.byName.value.get(chat.userName.value)?.status ?? "");
  const [error, setError] = useState<string | null>(null);
  const save = (event: Event) => {
    event.preventDefault();
    room.presences.setStatus(text).then(onClose, (reason: unknown) => setError(explain(reason)));
  };
  return (
    <Dialog chat={chat} title="Your status" onClose={onClose}>
      <form onSubmit={save} noValidate>
        <Field
          label="Status"
          value={text}
          maxLength={MAX_STATUS}
          error={error}
          hint="Everybody in this room sees it until you leave."
          autoFocus
          onInput={(value) => {
            setText(value);
            setError(null);
          }}
        />
        <div class="actions">
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="primary">
            Save
          </button>
        </div>
      </form>
    </Dialog>
  );
}
