/** The list of keyboard shortcuts. */

import type { Chat } from "../state/session.js";
import { Dialog } from "./dialog.js";
import { Keys } from "./keycaps.js";
import { SHORTCUTS } from "./shortcuts.js";

export function KeysDialog({ chat, onClose }: { chat: Chat; onClose: () => void }) {
  return (
    <Dialog chat={chat} title="Keyboard shortcuts" onClose={onClose}>
      <dl class="keys">
        {SHORTCUTS.map(({ keys, text }) => (
          <div key={text}>
            <dt>
              {keys.map((combination, index) => (
                <span key={index}>
                  {index > 0 && <span class="quiet"> or </span>}
                  <Keys keys={combination} />
                </span>
              ))}
            </dt>
            <dd>{text}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
