/** Since when the people in a room are there, and what they say about themselves. */

import { signal } from "@preact/signals";

import type { Client } from "./demo.js";

/** The longest status, in characters. The server accepts details of any form, so others are cut here. */
export const MAX_STATUS = 60;
/** The maximum number of pages of members that are read. */
const MAX_PAGES = 100;

export interface Presence {
  /** Unix time in ms, null if it is unknown. */
  joinedAt: number | null;
  status: string;
}

export class Presences {
  readonly byName = signal<ReadonlyMap<string, Presence>>(new Map());
  readonly #client: Client;
  readonly #room: string;
  /** The status of this device, which the server forgets when the connection is lost. */
  #own = "";

  constructor(client: Client, room: string) {
    this.#client = client;
    this.#room = room;
  }

  /** Rejects with a `ChatError`. */
  async load(): Promise<void> {
    if (this.#own !== "") await this.setStatus(this.#own);
    const found = new Map<string, Presence>();
    let cursor: string | null = null;
    for (let page = 0; page < MAX_PAGES; page++) {
      const status = await this.#client.commands.roomGetStatus(this.#room, { cursor });
      for (const { userName, joinedAt, details } of status.members) {
        found.set(userName, { joinedAt, status: readStatus(details) });
      }
      cursor = status.cursor;
      if (cursor === null) break;
    }
    this.byName.value = found;
  }

  joined(name: string): void {
    if (!this.byName.value.has(name)) this.#set(name, { joinedAt: Date.now(), status: "" });
  }

  left(name: string): void {
    const others = new Map(this.byName.value);
    others.delete(name);
    this.byName.value = others;
  }

  updated(name: string, details: unknown): void {
    this.#set(name, { joinedAt: this.byName.value.get(name)?.joinedAt ?? null, status: readStatus(details) });
  }

  /** Tell the others in the room. An empty text removes the status. Rejects with a `ChatError`. */
  async setStatus(text: string): Promise<void> {
    const status = text.trim();
    await this.#client.commands.roomSetDetails(this.#room, status === "" ? null : { status });
    this.#own = status;
  }

  clear(): void {
    this.byName.value = new Map();
  }

  #set(name: string, presence: Presence): void {
    this.byName.value = new Map(this.byName.value).set(name, presence);
  }
}

function readStatus(details: unknown): string {
  const { status } = (details ?? {}) as { status?: unknown };
  return typeof status === "string" ? [...status].slice(0, MAX_STATUS).join("") : "";
}
