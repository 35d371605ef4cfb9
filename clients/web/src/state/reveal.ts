/** Jumps to a message: from a search, a link, or the quote in a reply. */

import type { ReadonlySignal } from "@preact/signals";

import type { Conversation } from "./conversation.js";
import { peerIn } from "./direct.js";
import { RoomConversation } from "./room.js";
import { isolated } from "./texts.js";

/** What opens conversations: the session. */
interface Opener {
  readonly userName: ReadonlySignal<string>;
  readonly active: ReadonlySignal<Conversation | undefined>;
  openDirect(peer: string): unknown;
  tryRoom(name: string): Promise<boolean>;
  toast(text: string, isError?: boolean): void;
}

/**
 * Show a message of a room: join the room if necessary, open it, load its messages back to that one, and bring it into
 * view. Errors are shown. Returns whether the message is there.
 */
export async function revealMessage(chat: Opener, roomName: string, id: number): Promise<boolean> {
  const peer = peerIn(roomName, chat.userName.value);
  if (peer !== null) chat.openDirect(peer);
  else if (!(await chat.tryRoom(roomName))) return false;
  const room = chat.active.value;
  if (!(room instanceof RoomConversation) || room.roomName !== roomName) return false; // another one was opened meanwhile
  if (await room.show(id)) return true;
  chat.toast(`That message is no longer stored in ${isolated(room.name)}.`, true);
  return false;
}
