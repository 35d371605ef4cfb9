/** What the page stores in this browser, by user. If storage is disabled, nothing is remembered. */

import type { Attachment } from "@chat-service/client";

export interface SavedRoom {
  name: string;
  /** The last message read, within an epoch of the room's history. */
  readId: number;
  epoch: string;
}

/** A message that the server has not confirmed. */
export interface SavedOutgoing {
  text: string;
  timestamp: number;
  /** In a room: its idempotency key. */
  sendKey?: string;
  /** In a room: when it was first sent; null before that, undefined if unknown. */
  sentAt?: number | null;
  /** In a room: the last message of the room when this one was written. */
  after: number;
  /** In a room: the message that it replies to, and the epoch of that id. */
  replyTo?: number | undefined;
  epoch?: string | undefined;
  /** Its files, which have been uploaded. */
  attachments?: readonly Attachment[] | undefined;
  /** Why it was refused; undefined while this is unknown. */
  error: string | undefined;
}

/** Text written in a conversation that has not arrived. */
export interface SavedUnsent {
  draft: string;
  outgoing: SavedOutgoing[];
}

/** What a user has chosen for the conversations, which are named by their keys. */
export interface Choices {
  favourites: string[];
  muted: string[];
  notifies: boolean;
}

export type Theme = "system" | "light" | "dark";

const PREFIX = "chat:";

function read<T>(storage: () => Storage, key: string, otherwise: T): T {
  try {
    const text = storage().getItem(PREFIX + key);
    return text === null ? otherwise : (JSON.parse(text) as T);
  } catch {
    return otherwise;
  }
}

function write(storage: () => Storage, key: string, value: unknown): void {
  try {
    if (value === undefined) storage().removeItem(PREFIX + key);
    else storage().setItem(PREFIX + key, JSON.stringify(value));
  } catch {
    // The storage is full, or not allowed.
  }
}

function keys(storage: () => Storage): string[] {
  try {
    return Object.keys(storage()).map((key) => key.slice(PREFIX.length));
  } catch {
    return [];
  }
}

// These are functions because even the names throw when cookies are blocked.
const lasting = () => localStorage;
const ofThisTab = () => sessionStorage;

export const lastName = {
  get: () => read(lasting, "name", ""),
  set: (name: string) => write(lasting, "name", name),
};

/** The user who is logged in in this tab; survives a reload. */
export const tabUser = {
  get: () => read<string | null>(ofThisTab, "user", null),
  set: (name: string | undefined) => write(ofThisTab, "user", name),
};

/** Rooms are changed individually, because other tabs of the same user may be in other rooms. */
export const savedRooms = {
  /** null: the user has never been here. */
  get: (user: string) => read<SavedRoom[] | null>(lasting, `rooms:${user}`, null),
  put: (user: string, room: SavedRoom) => write(lasting, `rooms:${user}`, [...otherRooms(user, room.name), room]),
  remove: (user: string, name: string) => write(lasting, `rooms:${user}`, otherRooms(user, name)),
};

function otherRooms(user: string, name: string): SavedRoom[] {
  return (savedRooms.get(user) ?? []).filter((room) => room.name !== name);
}

/** The people whose conversation is open in this tab. The server has those with messages. */
export const savedDirects = {
  get: (user: string) => read<string[]>(ofThisTab, `peers:${user}`, []),
  set: (user: string, peers: string[] | undefined) => write(ofThisTab, `peers:${user}`, peers),
};

/** Lives as long as the tab, by conversation. */
export const savedUnsent = {
  get: (user: string, key: string) =>
    read<SavedUnsent>(ofThisTab, `unsent:${user}:${key}`, { draft: "", outgoing: [] }),
  set: (user: string, key: string, { draft, outgoing }: SavedUnsent) => {
    const isEmpty = draft === "" && outgoing.length === 0;
    write(ofThisTab, `unsent:${user}:${key}`, isEmpty ? undefined : { draft, outgoing });
  },
  /** All data of a user; names do not contain colons. */
  clear: (user: string) => {
    for (const key of keys(ofThisTab)) {
      if (key.startsWith(`unsent:${user}:`)) write(ofThisTab, key, undefined);
    }
  },
};

export const savedTheme = {
  get: () => read<Theme>(lasting, "theme", "system"),
  set: (theme: Theme) => write(lasting, "theme", theme),
};

export const savedChoices = {
  get: (user: string): Choices => ({
    favourites: [],
    muted: [],
    notifies: false,
    ...read<Partial<Choices>>(lasting, `choices:${user}`, {}),
  }),
  set: (user: string, choices: Choices) => write(lasting, `choices:${user}`, choices),
};

const RECENT_EMOJI = 16;
const FIRST_EMOJI = ["👍", "❤️", "😂", "🎉", "😮", "😢", "🙏", "👀"];

/** The emoji used last, the newest first. */
export const recentEmoji = {
  get: () => read<string[]>(lasting, "emoji", FIRST_EMOJI),
  add: (emoji: string) =>
    write(lasting, "emoji", [emoji, ...recentEmoji.get().filter((one) => one !== emoji)].slice(0, RECENT_EMOJI)),
};
