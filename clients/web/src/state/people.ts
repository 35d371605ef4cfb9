/** The people that the page knows of, in all rooms of the user. */

import type { Conversation } from "./conversation.js";
import { RoomConversation } from "./room.js";

/** The maximum number of rooms that are asked when a person was last there. */
const MAX_ASKED = 20;

export interface Seen {
  room: string;
  /** Unix time in ms. */
  timestamp: number;
}

const rooms = (conversations: readonly Conversation[]) =>
  conversations.filter((one): one is RoomConversation => one instanceof RoomConversation && one.kind === "room");

/** The user's rooms in which a person is right now. */
export function roomsWith(conversations: readonly Conversation[], name: string): RoomConversation[] {
  return rooms(conversations).filter((room) => room.members.value.has(name));
}

export function isHere(conversations: readonly Conversation[], name: string): boolean {
  return rooms(conversations).some((room) => room.members.value.has(name));
}

/** Everybody who is in one of the user's rooms, or has a direct conversation with the user. */
export function knownPeople(conversations: readonly Conversation[], user: string): string[] {
  const names = new Set<string>();
  for (const one of conversations) {
    if (one instanceof RoomConversation && one.kind === "room") for (const name of one.members.value.keys()) names.add(name);
    else names.add(one.name);
  }
  names.delete(user);
  return [...names];
}

/** When a person who is in none of the user's rooms was last in one; null if never, as far as the server knows. */
export async function lastSeen(conversations: readonly Conversation[], name: string): Promise<Seen | null> {
  const open = rooms(conversations).filter((room) => room.closed.value === null);
  const answers = await Promise.all(
    open.slice(0, MAX_ASKED).map(async (room) => ({ room: room.name, timestamp: await room.lastSeen(name) })),
  );
  let last: Seen | null = null;
  for (const { room, timestamp } of answers) {
    if (timestamp !== null && timestamp > (last?.timestamp ?? 0)) last = { room, timestamp };
  }
  return last;
}
