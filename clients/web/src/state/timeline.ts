/** What stands in a conversation, one below the other. */

import { isSameDay } from "./texts.js";

export interface MessageItem {
  kind: "message";
  /** Of the room; for direct messages and for what is on its way a number of this page, with a sign before it. */
  key: string;
  /** 0 for what has no id in a room. */
  id: number;
  author: string;
  text: string;
  timestamp: number;
  /** Of a message that is not stored yet. */
  sending?: "waiting" | "failed";
  error?: string;
  /** In a room: the idempotency key it is sent with, however often. */
  sendKey?: string;
  /** In a room: when it was first sent; null before that. Undefined if nobody knows. */
  sentAt?: number | null;
  /** In a room: its last message when this one was written. */
  after?: number;
  /** The page was closed before the server answered: it may have arrived. */
  isInDoubt?: boolean;
  /** It seems to have arrived, and its answer will tell: it does not stand there twice until then. */
  isEchoed?: boolean;
}

/** Something that happened: who came and went, what is missing. */
export interface NoteItem {
  kind: "note";
  key: string;
  text: string;
  timestamp: number;
}

/** Somebody came or went. */
export interface PresenceChange {
  name: string;
  isHere: boolean;
  timestamp: number;
}

/** People who came and went on one day, with nothing else in between. */
export interface PresenceItem {
  kind: "presence";
  key: string;
  /** Of the first change. */
  timestamp: number;
  /** The newest ones. */
  changes: PresenceChange[];
  /** How many there were. */
  total: number;
}

export type Item = MessageItem | NoteItem | PresenceItem;

/** Changes that one item keeps. */
const MAX_CHANGES = 500;

let keys = 0;

export const newKey = (sign: string): string => `${sign}${++keys}`;

export function note(text: string): NoteItem {
  return { kind: "note", key: newKey("n"), text, timestamp: Date.now() };
}

/** The items with one more change of presence, which joins those that stand at the end. */
export function withPresence(items: readonly Item[], change: PresenceChange): Item[] {
  const { timestamp } = change;
  const last = items.at(-1);
  if (last?.kind !== "presence" || !isSameDay(last.timestamp, timestamp)) {
    return [...items, { kind: "presence", key: newKey("p"), timestamp, changes: [change], total: 1 }];
  }
  const changes = [...last.changes, change].slice(-MAX_CHANGES);
  return [...items.slice(0, -1), { ...last, changes, total: last.total + 1 }];
}
