/** Jumps to a message: from a search, a link, or the quote in a reply. */

import { RoomConversation } from "./room.js";
import type { Chat } from "./session.js";
import { isolated } from "./texts.js";

/**
 * Show a message of a room: join the room if necessary, open it, load its messages back to that one, and bring it into
 * view. Errors are shown. Returns whether the message is there.
 */
export async function revealMessage(chat: Chat, roomName: string, id: number): Promise<boolean> {
  if (!(await chat.tryRoom(roomName))) return false;
  const room = chat.active.value;
  if (!(room instanceof RoomConversation) || room.name !== roomName) return false; // another one was opened meanwhile
  if (await room.show(id)) return true;
  chat.toast(`That message is no longer stored in ${isolated(roomName)}.`, true);
  return false;
}
