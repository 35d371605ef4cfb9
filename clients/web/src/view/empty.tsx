/** What is shown where there is nothing yet: what to do next. */

import type { Conversation } from "../state/conversation.js";
import type { Chat } from "../state/session.js";
import { Icon } from "./icons.js";
import { copyInvitation } from "./invitation.js";
import { Keys } from "./keycaps.js";
import { FIND_KEYS } from "./shortcuts.js";

/** Instead of a conversation. */
export function Nothing({ chat }: { chat: Chat }) {
  return (
    <main class="nothing">
      <Icon name="chat" />
      <h2>Choose a room</h2>
      <p>Messages sent while you are away will be waiting for you.</p>
      <ul class="tips">
        <li>
          <button type="button" onClick={() => (chat.overlay.value = { kind: "palette" })}>
            Find a room or a person <Keys keys={FIND_KEYS} />
          </button>
        </li>
        <li>
          <button type="button" onClick={() => (chat.overlay.value = { kind: "keys" })}>
            Keyboard shortcuts <Keys keys={["?"]} />
          </button>
        </li>
      </ul>
    </main>
  );
}

/** In a room in which nobody has said anything. */
export function EmptyRoom({ chat, conversation }: { chat: Chat; conversation: Conversation }) {
  return (
    <>
      Nothing was said in <bdi>{conversation.name}</bdi> yet. Say hello, or bring others here:{" "}
      <button type="button" class="inline" onClick={() => copyInvitation(chat, conversation.name)}>
        Copy an invite link
      </button>
    </>
  );
}
