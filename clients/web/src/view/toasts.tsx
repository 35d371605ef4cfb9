/** Short notices, placed where they cover neither a title nor the composer. */

import type { Chat } from "../state/session.js";
import { IconButton } from "./parts.js";

/** `inDialog`: whether this is the place in a dialog, which takes precedence. */
export function Toasts({ chat, inDialog = false }: { chat: Chat; inDialog?: boolean }) {
  if (chat.dialogs.value > 0 !== inDialog) return null;
  return (
    <div class="toasts">
      {chat.toasts.value.map((toast) => (
        <div key={toast.id} class={toast.isError ? "toast error" : "toast"} role={toast.isError ? "alert" : "status"}>
          <p>{toast.text}</p>
          <IconButton icon="close" label="Dismiss" onClick={() => chat.dismiss(toast.id)} />
        </div>
      ))}
    </div>
  );
}
