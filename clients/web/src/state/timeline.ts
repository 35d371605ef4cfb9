/** The items of a conversation, from top to bottom. */

import type { Attachment, ReactionCount } from "@chat-service/client";

import { isSameDay } from "./texts.js";

export interface MessageItem {
  kind: "message";
  /** The id in the room. For direct messages and pending messages: a number of this page with a prefix. */
  key: string;
  /** 0 for items without an id in a room. */
  id: number;
  author: string;
  text: string;
  timestamp: number;
  /** For messages that are not stored yet. */
  sending?: "waiting" | "failed";
  error?: string;
  /** In a room: the idempotency key it is sent with, however often. */
  sendKey?: string;
  /** In a room: when it was first sent; null before that. Undefined if unknown. */
  sentAt?: number | null;
  /** In a room: the last message of the room when this one was written. */
  after?: number;
  /** The page was closed before the server answered, so the message may have arrived. */
  isInDoubt?: boolean;
  /** It seems to have arrived, and its answer will confirm that. Until then it is not shown twice. */
  isEchoed?: boolean;
  /** In a room: the message that this one replies to. */
  replyTo?: number | undefined;
  /** The epoch of the room's history that `replyTo` belongs to, for messages that are not stored yet. */
  epoch?: string | undefined;
  isEdited?: boolean;
  /** Then there is no text. */
  isDeleted?: boolean;
  reactions?: readonly ReactionCount[];
  /** Files, which have been uploaded. */
  attachments?: readonly Attachment[] | undefined;
  /** The members of the room that the text names with `@`. */
  mentions?: readonly string[];
  /** The user has edited or deleted it, and the server has not confirmed that yet. */
  isChanging?: boolean;
  /** An edit that the server has refused. */
  refused?: { text: string; error: string } | undefined;
}

/** An event in the conversation: someone joined or left, or messages are missing. */
export interface NoteItem {
  kind: "note";
  key: string;
  text: string;
  timestamp: number;
}

/** Someone joined or left. */
export interface PresenceChange {
  name: string;
  isHere: boolean;
  timestamp: number;
}

/** People who joined and left on one day, without any other item in between. */
export interface PresenceItem {
  kind: "presence";
  key: string;
  /** The time of the first change. */
  timestamp: number;
  /** The newest changes. */
  changes: PresenceChange[];
  /** The total number of changes. */
  total: number;
}

export type Item = MessageItem | NoteItem | PresenceItem;

/** The maximum number of changes that one item keeps. */
const MAX_CHANGES = 500;

let keys = 0;

export const newKey = (sign: string): string => `${sign}${++keys}`;

export function note(text: string): NoteItem {
  return { kind: "note", key: newKey("n"), text, timestamp: Date.now() };
}

/** The items with one more presence change, which is merged into presence changes at the end. */
export function withPresence(items: readonly Item[], change: PresenceChange): Item[] {
  const { timestamp } = change;
  const last = items.at(-1);
  if (last?.kind !== "presence" || !isSameDay(last.timestamp, timestamp)) {
    return [...items, { kind: "presence", key: newKey("p"), timestamp, changes: [change], total: 1 }];
  }
  const changes = [...last.changes, change].slice(-MAX_CHANGES);
  return [...items.slice(0, -1), { ...last, changes, total: last.total + 1 }];
}
