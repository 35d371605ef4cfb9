/** Which dialog is open. This module and what only it imports are loaded after the page. */

import type { Chat, Overlay } from "../state/session.js";
import { KeysDialog } from "./keys.js";
import { Palette } from "./palette.js";
import { Profile } from "./profile.js";
import { SearchDialog } from "./search.js";

export function OverlayView({ chat, overlay }: { chat: Chat; overlay: Overlay }) {
  const close = () => {
    if (chat.overlay.peek() === overlay) chat.overlay.value = null;
  };
  switch (overlay.kind) {
    case "palette":
      return <Palette chat={chat} onClose={close} />;
    case "keys":
      return <KeysDialog chat={chat} onClose={close} />;
    case "profile":
      return <Profile key={overlay.name} chat={chat} name={overlay.name} onClose={close} />;
    case "search":
      return <SearchOverlay chat={chat} query={overlay.query} onClose={close} />;
  }
}

function SearchOverlay({ chat, query, onClose }: { chat: Chat; query: string; onClose: () => void }) {
  const conversation = chat.active.value;
  if (conversation === undefined) return null;
  return <SearchDialog key={conversation.key} chat={chat} conversation={conversation} query={query} onClose={onClose} />;
}
