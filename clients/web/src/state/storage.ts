/** What the page remembers in this browser, by user. Storage may be switched off: then it forgets. */

export interface SavedRoom {
  name: string;
  /** The last message that was read, within an epoch of the room's history. */
  readId: number;
  epoch: string;
}

export interface SavedDirect {
  peer: string;
  messages: { author: string; text: string; timestamp: number }[];
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
    // Full, or not allowed.
  }
}

// Functions: with cookies blocked even the names throw.
const lasting = () => localStorage;
const ofThisTab = () => sessionStorage;

export const lastName = {
  get: () => read(lasting, "name", ""),
  set: (name: string) => write(lasting, "name", name),
};

/** Who is logged in in this tab; survives a reload. */
export const tabUser = {
  get: () => read<string | null>(ofThisTab, "user", null),
  set: (name: string | undefined) => write(ofThisTab, "user", name),
};

export const savedRooms = {
  get: (user: string) => read<SavedRoom[] | null>(lasting, `rooms:${user}`, null),
  set: (user: string, rooms: SavedRoom[]) => write(lasting, `rooms:${user}`, rooms),
};

/** Direct messages are stored nowhere else; they live as long as the tab. */
export const savedDirects = {
  get: (user: string) => read<SavedDirect[]>(ofThisTab, `direct:${user}`, []),
  set: (user: string, directs: SavedDirect[] | undefined) => write(ofThisTab, `direct:${user}`, directs),
};

export const savedTheme = {
  get: () => read<Theme>(lasting, "theme", "system"),
  set: (theme: Theme) => write(lasting, "theme", theme),
};
