/** What conversations need from the page. */

import type { ChatClient, TextMessage } from "@chat-service/client";
import type { ReadonlySignal } from "@preact/signals";

import type { Conversation } from "./conversation.js";
import type { SavedRoom } from "./storage.js";

/** A room as listed by the server. */
export interface RoomEntry {
  name: string;
  owner: string | null;
  members: number;
  whitelistOnly: boolean;
}

/** Custom events of the demo server. */
export interface DemoEvents {
  roomListChanged(changed: RoomEntry[], removed: string[]): void;
  roomDevicesChanged(room: string, user: string, devices: number): void;
  roomUserRemoved(room: string, by: string): void;
}

export type Client = ChatClient<TextMessage, DemoEvents>;

export interface Host {
  readonly userName: ReadonlySignal<string>;
  /** A message arrived in a conversation, which may not be on screen. */
  onUnread(conversation: Conversation, author: string, text: string, isLive: boolean): void;
  /** The user is no longer in the room of a conversation. */
  onRemoved(conversation: Conversation): void;
  saveRoom(room: SavedRoom): void;
}
