/** Messages on their way to one room: sent one after another, and each stored once, however often it is sent. */

import { ChatError, LOCAL_ERROR_TEXTS } from "./errors.js";
import type { SavedOutbox } from "./outbox-storage.js";

/** A message that the server has not confirmed. */
export interface Unsent<M> {
  readonly message: M;
  /** Its idempotency key. */
  readonly key: string;
  /** Whether it was sent before, so that it may be stored. */
  readonly wasTried: boolean;
  /** The id under which it is stored, in the end; rejects as `send` does. */
  readonly result: Promise<number>;
}

/** A point in time by two clocks: one may be set back, the other may stand still while a computer sleeps. */
interface Moment {
  wall: number;
  steady: number;
}

interface Item<M> {
  message: M;
  /** Names the message for the server, which stores it once. */
  key: string;
  result: Promise<number>;
  resolve(id: number): void;
  reject(error: ChatError): void;
  /** When it was first sent. */
  firstTry: Moment | undefined;
  /** How often it was sent by this outbox. */
  tries: number;
  /** Why its outcome is not known. */
  doubt: ChatError | undefined;
}

export interface OutboxLimits {
  /** Messages that may wait for their answers. */
  size: number;
  /** Milliseconds after its first try in which a message without an answer is sent again. */
  maxAge: number;
}

/** Milliseconds before something is tried again that the server could not do. */
const RETRY_DELAYS = [500, 1000, 2000, 5000, 10_000];
/** The server has not said whether the message is stored. */
const UNANSWERED = new Set(["disconnected", "noAnswer", "timeout", "internalError", "rateLimited"]);
/** The message itself is refused, whenever it is sent. Other refusals say nothing about an earlier try. */
const FINAL = new Set(["badArgument", "idempotencyConflict"]);

export const retryDelay = (tries: number): number => RETRY_DELAYS[Math.min(tries, RETRY_DELAYS.length - 1)]!;

export class Outbox<M> {
  readonly #request: (message: M, key: string) => Promise<number>;
  readonly #limits: OutboxLimits;
  readonly #onFirstTry: (key: string) => void;
  #saved: SavedOutbox<M> | undefined;
  #items: Item<M>[] = [];
  /** The one that was sent and has no answer yet. */
  #sending: Item<M> | undefined;
  /** Whether messages may be sent: the room is joined. */
  #isOpen = false;
  /** The room was left: what may be stored is asked for once more, and nothing else is sent. */
  #isEnding = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Whether the server knows idempotency keys; unless it does, nothing is sent a second time. */
  remembersKeys = false;

  /**
   * `request` sends a message with its idempotency key and resolves with its id. `onFirstTry` is called before a
   * message is sent for the first time; until then it cannot be stored.
   */
  constructor(
    request: (message: M, key: string) => Promise<number>,
    limits: OutboxLimits,
    onFirstTry: (key: string) => void,
  ) {
    this.#request = request;
    this.#limits = limits;
    this.#onFirstTry = onFirstTry;
  }

  get unsent(): Unsent<M>[] {
    return this.#items.map(({ message, key, firstTry, result }) => ({
      message,
      key,
      wasTried: firstTry !== undefined,
      result,
    }));
  }

  /** Write messages down from now on, and take up those that are there. Throws a `ChatError`, `outboxUnusable`. */
  restore(saved: SavedOutbox<M>): void {
    if (this.#saved !== undefined) return;
    const left = saved.read();
    this.#saved = saved;
    for (const { message, key, sentAt } of left) {
      if (!this.#items.some((item) => item.key === key)) this.#append(message, key, sentAt);
    }
  }

  /**
   * Append a message; resolves with its id when it is stored. `sentAt`: when it was first sent, in milliseconds since
   * the epoch, if it was. A message that is here already, such as one that was written down, is not appended again.
   */
  add(message: M, key: string = newKey(), sentAt?: number): Promise<number> {
    const same = this.#items.find((item) => item.key === key);
    if (same !== undefined) {
      if (JSON.stringify(same.message) === JSON.stringify(message)) return same.result;
      return Promise.reject(new ChatError("idempotencyConflict", [key]));
    }
    if (this.#items.length >= this.#limits.size) {
      return Promise.reject(new ChatError("outboxFull", [this.#limits.size]));
    }
    try {
      this.#saved?.add({ message, key, sentAt });
    } catch (error) {
      return Promise.reject(error);
    }
    return this.#append(message, key, sentAt).result;
  }

  /** Send what there is, while the room is joined. */
  pump(): void {
    this.#isOpen = true;
    this.#isEnding = false;
    this.#next();
  }

  /** Send nothing until `pump` is called. An answer that is on its way still counts. */
  pause(): void {
    this.#isOpen = this.#isEnding = false;
    clearTimeout(this.#timer);
  }

  connectionLost(): void {
    const wasEnding = this.#isEnding;
    this.pause();
    this.#sending = undefined;
    if (wasEnding) this.#endAll(new ChatError("disconnected"));
  }

  /**
   * The room was left, and the server still answers: messages that were not sent are rejected with `error`. The others
   * may be stored; the server still knows them by their keys.
   */
  left(error: ChatError): void {
    this.pause();
    this.#isEnding = true;
    for (const item of [...this.#items]) {
      if (item.firstTry === undefined) this.#end(item, error);
    }
    this.#next();
  }

  /** The room was left without a connection. */
  abandoned(error: ChatError): void {
    this.connectionLost();
    this.#endAll(error);
  }

  /**
   * The connection has ended for good. What is written down stays so, for the next one. `error`: why; the rejection of
   * a login says nothing about messages that were sent before.
   */
  closed(error: ChatError): void {
    this.connectionLost();
    const isKept = this.#saved !== undefined && error.code in LOCAL_ERROR_TEXTS;
    this.#saved = undefined;
    if (!isKept) return this.#endAll(error);
    for (const item of [...this.#items]) this.#end(item, error);
  }

  #append(message: M, key: string, sentAt: number | undefined): Item<M> {
    let [resolve, reject]: [(id: number) => void, (error: ChatError) => void] = [() => {}, () => {}];
    const result = new Promise<number>((...settle) => ([resolve, reject] = settle));
    // Nobody may be waiting for one that was written down.
    result.catch(() => {});
    const firstTry = sentAt === undefined ? undefined : momentOf(sentAt);
    const item = { message, key, result, resolve, reject, firstTry, tries: 0, doubt: undefined };
    this.#items.push(item);
    return item;
  }

  #next(): void {
    while (this.#sending === undefined && (this.#isOpen || this.#isEnding)) {
      const item = this.#items[0];
      const isRepeat = item?.firstTry !== undefined;
      if (item === undefined || (this.#isEnding && !isRepeat)) return;
      try {
        if (isRepeat) this.#checkAge(item);
        else this.#begin(item);
      } catch (error) {
        this.#end(item, error as ChatError);
        continue;
      }
      item.tries += 1;
      this.#sending = item;
      void this.#send(item, isRepeat);
    }
  }

  /** Throws a `ChatError` if the message was sent and cannot be sent again, since it could be stored twice. */
  #checkAge({ firstTry, doubt }: Item<M>): void {
    if (this.remembersKeys && age(firstTry!) <= this.#limits.maxAge) return;
    throw unconfirmed(doubt ?? new ChatError("noAnswer", ["roomMessage"]));
  }

  /** Throws a `ChatError`, `outboxUnusable`: a message must not be sent without its time, which is its limit. */
  #begin(item: Item<M>): void {
    const sentAt = Date.now();
    this.#saved?.mark(item.key, sentAt);
    item.firstTry = momentOf(sentAt);
    this.#onFirstTry(item.key);
  }

  async #send(item: Item<M>, isRepeat: boolean): Promise<void> {
    let outcome: number | ChatError;
    try {
      outcome = await this.#request(item.message, item.key);
    } catch (error) {
      // Anything else is a message that cannot be encoded, and was not sent.
      outcome = error instanceof ChatError ? error : new ChatError("badArgument", [1, String(error)]);
    }
    if (typeof outcome !== "number" && UNANSWERED.has(outcome.code)) return this.#sendAgain(item, outcome);
    if (this.#sending === item) this.#sending = undefined;
    if (typeof outcome !== "number" && isRepeat && !FINAL.has(outcome.code)) outcome = unconfirmed(outcome);
    this.#end(item, outcome);
    this.#next();
  }

  /** The message stays at its place: after a lost connection until the room is joined again. */
  #sendAgain(item: Item<M>, doubt: ChatError): void {
    item.doubt = doubt;
    if (this.#sending !== item) return;
    this.#sending = undefined;
    if (this.#isEnding) {
      this.#end(item, unconfirmed(doubt));
      this.#next();
    } else if (this.#isOpen) {
      if (!this.remembersKeys) return this.#next();
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#next(), retryDelay(item.tries - 1));
    }
  }

  /** Reject everything: with `error` what was never sent. */
  #endAll(error: ChatError): void {
    for (const item of [...this.#items]) {
      this.#end(item, item.firstTry === undefined ? error : unconfirmed(item.doubt ?? error));
    }
  }

  #end(item: Item<M>, outcome: number | ChatError): void {
    if (!this.#items.includes(item)) return;
    this.#items = this.#items.filter((other) => other !== item);
    try {
      this.#saved?.remove(item.key);
    } catch {
      // It is sent once more after a reload, and the server knows its key; or it is too old by then.
    }
    if (typeof outcome === "number") item.resolve(outcome);
    else item.reject(outcome);
  }
}

const unconfirmed = (cause: ChatError): ChatError => new ChatError("unconfirmed", [cause.message]);

function momentOf(wall: number): Moment {
  return { wall, steady: performance.now() - Math.max(0, Date.now() - wall) };
}

/** Milliseconds since then. */
function age({ wall, steady }: Moment): number {
  return Math.max(Date.now() - wall, performance.now() - steady);
}

/** A new idempotency key. */
export function newKey(): string {
  // Pages without TLS have no randomUUID.
  const bytes = globalThis.crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
