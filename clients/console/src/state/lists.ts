/** Lists that stay while other pages are shown, so that one comes back to where one was. */

import { Listing, type Load, PAGE } from "./listing.js";
import type { Room, User } from "./records.js";
import type { Session } from "./session.js";

export interface Lists {
  rooms: Listing<Room>;
  roomsPlace: { top: number };
  users: Listing<User>;
  usersPlace: { top: number };
  /** Whether only users who have sockets are listed, and not all known ones. */
  onlineOnly: { value: boolean };
}

const nameOf = (item: { name: string }): string => item.name;

const loadRooms =
  (session: Session): Load<Room> =>
  async (cursor, contains, signal) => {
    const query = { limit: PAGE, cursor, contains };
    const page = await session.api.value!.get<{ rooms: Room[]; cursor: string | null }>("/rooms", query, signal);
    return { items: page.rooms, cursor: page.cursor };
  };

const loadUsers =
  (session: Session, onlineOnly: { value: boolean }): Load<User> =>
  async (cursor, contains, signal) => {
    const query = { limit: PAGE, cursor, contains, online: onlineOnly.value };
    const page = await session.api.value!.get<{ users: User[]; cursor: string | null }>("/users", query, signal);
    return { items: page.users, cursor: page.cursor };
  };

export function makeLists(session: Session): Lists {
  const onlineOnly = { value: true };
  return {
    rooms: new Listing(loadRooms(session), nameOf, {
      members: (room) => room.membersCount,
      messages: (room) => room.lastMessageId,
      stored: (room) => room.historySize,
    }),
    roomsPlace: { top: 0 },
    users: new Listing(loadUsers(session, onlineOnly), nameOf, { sockets: (user) => user.sockets }),
    usersPlace: { top: 0 },
    onlineOnly,
  };
}
