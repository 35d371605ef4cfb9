/** The name of a person, which opens their profile. */

import type { Chat } from "../state/session.js";

export function NameButton({ chat, name, class: extra = "" }: { chat: Chat; name: string; class?: string }) {
  return (
    <button
      type="button"
      class={`name-button ${extra}`}
      dir="auto"
      aria-haspopup="dialog"
      onClick={() => (chat.overlay.value = { kind: "profile", name })}
    >
      {name}
    </button>
  );
}
