/** Messages on their way to one room: sent one after another, and each stored once, however often it is sent. */

import { ChatError } from "./errors.js";

interface Item<M> {
  message: M;
  /** Names the message for the server, which stores it once. */
  key: string;
  resolve(id: number): void;
  reject(error: ChatError): void;
  /** When it was first sent, in milliseconds of `performance.now`. */
  sentAt: number | undefined;
}

export interface OutboxLimits {
  /** Messages that may wait for their answers. */
  size: number;
  /** Milliseconds after its first try in which a message without an answer is sent again. */
  maxAge: number;
}

/** Milliseconds before a message is sent again that the server could not answer. */
const AGAIN = 1000;
/** The server has not said whether the message is stored. */
const UNANSWERED = new Set(["disconnected", "noAnswer", "timeout"]);

export class Outbox<M> {
  readonly #request: (message: M, key: string) => Promise<number>;
  readonly #limits: OutboxLimits;
  readonly #items: Item<M>[] = [];
  /** The one that was sent and has no answer yet. */
  #sending: Item<M> | undefined;
  #isOpen = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Whether the server knows idempotency keys; unless it does, nothing is sent a second time. */
  remembersKeys = false;

  /** `request` sends a message with its idempotency key and resolves with its id. */
  constructor(request: (message: M, key: string) => Promise<number>, limits: OutboxLimits) {
    this.#request = request;
    this.#limits = limits;
  }

  /** Append a message; resolves with its id when it is stored. */
  add(message: M, key: string = newKey()): Promise<number> {
    if (this.#items.length >= this.#limits.size) {
      return Promise.reject(new ChatError("outboxFull", [this.#limits.size]));
    }
    return new Promise((resolve, reject) => {
      this.#items.push({ message, key, resolve, reject, sentAt: undefined });
    });
  }

  /** Send what there is, while the room is joined. */
  pump(): void {
    this.#isOpen = true;
    if (this.#sending !== undefined) return;
    this.#dropTheOld();
    const item = this.#items[0];
    if (item === undefined) return;
    this.#sending = item;
    item.sentAt ??= performance.now();
    void this.#send(item);
  }

  connectionLost(): void {
    this.#isOpen = false;
    this.#sending = undefined;
    clearTimeout(this.#timer);
  }

  rejectAll(error: ChatError): void {
    this.connectionLost();
    for (const item of this.#items.splice(0)) item.reject(error);
  }

  async #send(item: Item<M>): Promise<void> {
    let outcome: () => void;
    try {
      const id = await this.#request(item.message, item.key);
      outcome = () => item.resolve(id);
    } catch (error) {
      const known = error instanceof ChatError ? error : new ChatError("internalError", [String(error)]);
      if (UNANSWERED.has(known.code)) return this.#sendAgain(item);
      outcome = () => item.reject(known);
    }
    if (this.#items[0] === item) {
      this.#items.shift();
      outcome();
    }
    if (this.#sending === item) {
      this.#sending = undefined;
      if (this.#isOpen) this.pump();
    }
  }

  /** The message stays at its place: after a lost connection until the room is joined again. */
  #sendAgain(item: Item<M>): void {
    if (this.#sending !== item) return;
    this.#sending = undefined;
    if (!this.#isOpen) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#isOpen && this.pump(), AGAIN);
  }

  /** Reject messages that were sent and can no longer be sent again, since they could be stored twice. */
  #dropTheOld(): void {
    for (let item = this.#items[0]; item?.sentAt !== undefined; item = this.#items[0]) {
      if (this.remembersKeys && performance.now() - item.sentAt <= this.#limits.maxAge) return;
      this.#items.shift();
      item.reject(new ChatError("unconfirmed"));
    }
  }
}

/** A new idempotency key. */
export function newKey(): string {
  // Pages without TLS have no randomUUID.
  const bytes = globalThis.crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
