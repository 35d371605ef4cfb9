/** Links that bring others into a room. */

import { addressOf } from "../state/address.js";
import type { Chat } from "../state/session.js";
import { isolated } from "../state/texts.js";

export function copyInvitation(chat: Chat, room: string): void {
  const isClosed = chat.directory.value.get(room)?.whitelistOnly ?? false;
  const told = isClosed
    ? `The link to ${isolated(room)} is copied. It lets in only people who are invited in the room settings.`
    : `The link to ${isolated(room)} is copied. Whoever opens it can join.`;
  void copy(chat, addressOf(room), told);
}

/** Copy a text, and tell the user. */
export async function copy(chat: Chat, text: string, told: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    chat.toast(told);
  } catch {
    // Without permission, or on a page without HTTPS: shown instead, to copy by hand.
    chat.toast(`Copy this address: ${text}`);
  }
}
