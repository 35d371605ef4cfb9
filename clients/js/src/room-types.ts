/** What a room is for its application, and what it needs of its client. */

import type { ChatError } from "./errors.js";
import type { SavedOutbox } from "./outbox-storage.js";
import type { OutboxLimits } from "./outbox.js";
import type { Stored } from "./protocol.js";

/**
 * - `out`: not joined, and not to be
 * - `joining`: joining or catching up
 * - `waiting`: to be joined again when the connection is back
 * - `joined`: messages arrive as they are sent
 */
export type RoomState = "out" | "joining" | "waiting" | "joined";

/** Messages that can no longer be read. Ids, both inclusive. */
export interface Gap {
  from: number;
  to: number;
}

/** `M`: the form of messages. */
export interface RoomEvents<M> {
  /**
   * A message, in the order of ids, each once. `isLive`: it came as it was sent; false for one out of the history,
   * at the join or after a reconnect.
   */
  message(message: Stored<M>, isLive: boolean): void;
  /** Messages were missed and have been rotated out of the history. Told before the message that follows. */
  gap(gap: Gap): void;
  /** Notifications about members, lists or the mode may be missing: read them again. */
  stateGap(): void;
  /**
   * The room was made anew: its ids have started over, and what was shown of it is history of another room. Its newest
   * messages follow, whatever the join asked for.
   */
  restarted(): void;
  state(state: RoomState): void;
  /** A message is sent for the first time, by its key. Until then it is surely not stored. */
  sending(key: string): void;
  /** The user has lost the room: `notAllowed` without access, `noRoom` when it is gone. It is no longer joined. */
  removed(error: ChatError): void;
  /** As the notifications of the same names; which of them come is a setting of the room. */
  userJoined(userName: string): void;
  userLeft(userName: string): void;
  accessListAdded(listName: string, userNames: string[]): void;
  accessListRemoved(listName: string, userNames: string[]): void;
  modeChanged(whitelistOnly: boolean): void;
}

export interface JoinOptions {
  /** Begin with so many of the newest messages (50). */
  recent?: number;
  /** Begin with the message after this id, as when the application has stored those until there. */
  after?: number;
  /** The `epoch` that the room had then: ids of another one do not count. */
  epoch?: string;
}

/** What a room asks of its client. */
export interface RoomHost {
  request(event: string, ...args: unknown[]): Promise<unknown>;
  /** As `request`, but resolves with all values of the answer. */
  requestAll(event: string, ...args: unknown[]): Promise<unknown[]>;
  readonly outboxLimits: OutboxLimits;
  /** Where unsent messages to a room are written down; undefined without a storage, or before the login. */
  savedOutbox<M>(room: string): SavedOutbox<M> | undefined;
  isOnline(): boolean;
  /** Whether the connection has ended for good. */
  isClosed(): boolean;
  /** Read a room's history when it is its turn: all rooms at once would be more than a slow connection can take. */
  catchUp(work: () => Promise<void>, isUrgent: boolean): Promise<void>;
}
