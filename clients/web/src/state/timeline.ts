/** What stands in a conversation, one below the other. */

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
}

/** Something that happened: who came and went, what is missing. */
export interface NoteItem {
  kind: "note";
  key: string;
  text: string;
  timestamp: number;
}

export type Item = MessageItem | NoteItem;

let keys = 0;

export const newKey = (sign: string): string => `${sign}${++keys}`;

export function note(text: string): NoteItem {
  return { kind: "note", key: newKey("n"), text, timestamp: Date.now() };
}
