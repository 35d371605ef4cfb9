/** What the conversations of the page need of the page itself. */

import type { ChatClient, TextMessage } from "@chat-service/client";
import type { ReadonlySignal } from "@preact/signals";

import type { Conversation } from "./conversation.js";
import type { SavedRoom } from "./storage.js";

/** A room as the server's list has it. */
export interface RoomEntry {
  name: string;
  owner: string | null;
  members: number;
  whitelistOnly: boolean;
}

/** Events of the demo server besides the contract. */
export interface DemoEvents {
  roomListChanged(changed: RoomEntry[], removed: string[]): void;
  roomDevicesChanged(room: string, user: string, devices: number): void;
  roomUserRemoved(room: string, by: string): void;
}

export type Client = ChatClient<TextMessage, DemoEvents>;

export interface Host {
  readonly userName: ReadonlySignal<string>;
  /** A message came into a conversation, perhaps one that nobody looks at. */
  onUnread(conversation: Conversation, author: string, text: string, isLive: boolean): void;
  /** The person is not in the room of a conversation any longer. */
  onRemoved(conversation: Conversation): void;
  saveRoom(room: SavedRoom): void;
  saveDirects(): void;
  /** Tell the person's other devices how far a room was read. */
  tellRead(read: SavedRoom): void;
}
