/** The types of a room: its events and options for applications, and the interface to its client. */

import type { ChatError } from "./errors.js";
import type { SavedOutbox } from "./outbox-storage.js";
import type { OutboxLimits } from "./outbox.js";
import type { EphemeralEvent, Stored } from "./protocol.js";
import type { Uploaded, UploadOptions } from "./uploads.js";

/**
 * - `out`: not joined
 * - `joining`: joining or catching up
 * - `waiting`: will be joined again when the connection is back
 * - `joined`: messages arrive as they are sent
 */
export type RoomState = "out" | "joining" | "waiting" | "joined";

/** Ids of messages that can no longer be read, both inclusive. */
export interface Gap {
  from: number;
  to: number;
}

/** `M`: the type of messages. */
export interface RoomEvents<M> {
  /**
   * A message, in the order of ids, each once. `isLive`: it arrived as it was sent. False for a message from the
   * history, at the join or after a reconnect.
   */
  message(message: Stored<M>, isLive: boolean): void;
  /** Messages were missed and are no longer in the history. Emitted before the message that follows them. */
  gap(gap: Gap): void;
  /** Notifications about members, lists or the mode may be missing: read them again. */
  stateGap(): void;
  /**
   * The room was created again: its ids have started over, and earlier messages belong to another room. Its newest
   * messages follow, whatever the join asked for.
   */
  restarted(): void;
  state(state: RoomState): void;
  /** The message with this key is about to be sent for the first time. Until then it is certainly not stored. */
  sending(key: string): void;
  /** The user was removed from the room: `notAllowed` if access was revoked, `noRoom` if the room was deleted. */
  removed(error: ChatError): void;
  /** An event of someone else in the room, such as a user typing, while the room is joined. It may be lost. */
  event(event: EphemeralEvent): void;
  /** The user has read the room up to this message on another device. */
  read(id: number): void;
  /** Same as the notifications with these names. The settings of the room decide which of them are sent. */
  userJoined(userName: string): void;
  userLeft(userName: string): void;
  memberUpdated(userName: string, details: unknown): void;
  accessListAdded(listName: string, userNames: string[]): void;
  accessListRemoved(listName: string, userNames: string[]): void;
  modeChanged(whitelistOnly: boolean): void;
}

export interface JoinOptions {
  /** Begin with this number of the newest messages (50). */
  recent?: number;
  /** Begin with the message after this id, for example because the application has stored the earlier ones. */
  after?: number;
  /** The `epoch` of the room at that time. Ids are valid only within their epoch. */
  epoch?: string;
}

/** The interface of the client for its rooms. */
export interface RoomHost {
  request(event: string, ...args: unknown[]): Promise<unknown>;
  /** Like `request`, but resolves with all values of the answer. */
  requestAll(event: string, ...args: unknown[]): Promise<unknown[]>;
  readonly outboxLimits: OutboxLimits;
  /** Where unsent messages to a room are stored; undefined without a storage, or before the login. */
  savedOutbox<M>(room: string): SavedOutbox<M> | undefined;
  /** The address of the server; empty: that of the page. */
  readonly server: string;
  upload(room: string, file: Blob, options?: UploadOptions): Promise<Uploaded>;
  isOnline(): boolean;
  /** The name of the last confirmed login. */
  userName(): string | undefined;
  /** Whether the client has been closed. */
  isClosed(): boolean;
  /** Read a room's history when it is the room's turn: all rooms at once could overload a slow connection. */
  catchUp(work: () => Promise<void>, isUrgent: boolean): Promise<void>;
}
