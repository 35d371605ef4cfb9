/** What conversations need from the page. */

import type { ReadonlySignal } from "@preact/signals";

import type { Conversation } from "./conversation.js";
import type { SavedRoom } from "./storage.js";

export interface Host {
  readonly userName: ReadonlySignal<string>;
  /** A message arrived in a conversation, which may not be on screen. */
  onUnread(conversation: Conversation, author: string, text: string, isLive: boolean): void;
  /** The user is no longer in the room of a conversation. */
  onRemoved(conversation: Conversation): void;
  saveRoom(room: SavedRoom): void;
}
