/** Links that bring others into a room. */

import { addressOf } from "../state/address.js";
import type { Chat } from "../state/session.js";
import { isolated } from "../state/texts.js";
import { copy } from "./copy.js";

export function copyInvitation(chat: Chat, room: string): void {
  const isClosed = chat.directory.value.get(room)?.whitelistOnly ?? false;
  const told = isClosed
    ? `The link to ${isolated(room)} is copied. It lets in only people who are invited in the room settings.`
    : `The link to ${isolated(room)} is copied. Whoever opens it can join.`;
  const address = addressOf(room);
  // Otherwise it is shown, to be copied by hand.
  void copy(address).then((isCopied) => chat.toast(isCopied ? told : `Copy this address: ${address}`));
}
