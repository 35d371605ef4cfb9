/** Stores the messages of an outbox so that they survive a reload of the page. */

import { ChatError } from "./errors.js";
import type { RelationOptions } from "./interactions.js";

/** The interface that an outbox needs; `sessionStorage` and `localStorage` have it. */
export interface OutboxStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  /** Optional. Without it, an empty list remains for each room. */
  removeItem?(key: string): void;
}

/** The stored form of an unconfirmed message. */
export interface SavedMessage<M> {
  message: M;
  /** Its idempotency key. */
  key: string;
  /** When it was first sent, in milliseconds since the epoch; undefined before that. */
  sentAt: number | undefined;
  /** What it says about an earlier message. */
  options?: RelationOptions | undefined;
}

interface Row {
  key: string;
  message: unknown;
  options?: RelationOptions;
  sentAt?: number;
}

/** Prefix that marks binary values, which JSON does not have. Other strings that begin with it get it twice. */
const MARK = "\u0000";

/**
 * The unsent messages of one user to one room. Each change reads the list again, because other tabs may share the
 * storage.
 * All methods throw a `ChatError`, `outboxUnusable`, if the storage fails.
 */
export class SavedOutbox<M> {
  readonly #storage: OutboxStorage;
  readonly #name: string;

  /** `service`: the server's address with the namespace. */
  constructor(storage: OutboxStorage, service: string, userName: string, room: string) {
    this.#storage = storage;
    this.#name = "chat-service:outbox:" + JSON.stringify([service, userName, room]);
  }

  read(): SavedMessage<M>[] {
    return usable(() =>
      this.#rows().map(({ key, message, ...rest }) => ({ sentAt: undefined, ...rest, key, message: decoded(message) as M })),
    );
  }

  add({ message, key, sentAt, options }: SavedMessage<M>): void {
    usable(() => {
      const row: Row = { key, message: encoded(message), ...(sentAt !== undefined && { sentAt }), ...(options && { options }) };
      this.#write([...this.#rows().filter((other) => other.key !== key), row]);
    });
  }

  /** Record that a message is being sent for the first time. */
  mark(key: string, sentAt: number): void {
    usable(() => this.#write(this.#rows().map((row) => (row.key === key ? { ...row, sentAt } : row))));
  }

  remove(key: string): void {
    usable(() => this.#write(this.#rows().filter((row) => row.key !== key)));
  }

  #rows(): Row[] {
    const text = this.#storage.getItem(this.#name);
    const rows: unknown = text === null ? [] : JSON.parse(text);
    if (!Array.isArray(rows)) throw new TypeError(`${this.#name} is not a list`);
    return rows as Row[];
  }

  #write(rows: Row[]): void {
    if (rows.length === 0 && this.#storage.removeItem) this.#storage.removeItem(this.#name);
    else this.#storage.setItem(this.#name, JSON.stringify(rows));
  }
}

function usable<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new ChatError("outboxUnusable", [error instanceof Error ? error.message : String(error)]);
  }
}

/** Convert a value for JSON, with binary values as strings. */
function encoded(value: unknown): unknown {
  if (typeof value === "string") return value.startsWith(MARK) ? MARK + value : value;
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof ArrayBuffer) return binary(new Uint8Array(value));
  if (ArrayBuffer.isView(value)) return binary(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
  if (typeof Blob !== "undefined" && value instanceof Blob) {
    throw new TypeError("a Blob cannot be stored; convert it to an ArrayBuffer");
  }
  if (Array.isArray(value)) return value.map(encoded);
  if (typeof (value as { toJSON?: unknown }).toJSON === "function") return JSON.parse(JSON.stringify(value));
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, encoded(part)]));
}

function binary(bytes: Uint8Array): string {
  return `${MARK}b${btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""))}`;
}

function decoded(value: unknown): unknown {
  if (typeof value === "string" && value.startsWith(MARK)) {
    if (value.startsWith(MARK + MARK)) return value.slice(1);
    return Uint8Array.from(atob(value.slice(2)), (character) => character.charCodeAt(0)).buffer;
  }
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(decoded);
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, decoded(part)]));
}
