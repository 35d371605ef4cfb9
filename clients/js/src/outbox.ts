/** Unconfirmed messages to one room. They are sent one after another, and each is stored once, however often it is sent. */

import { ChatError, LOCAL_ERROR_TEXTS } from "./errors.js";
import type { RelationOptions } from "./interactions.js";
import type { SavedOutbox } from "./outbox-storage.js";

/** A message that the server has not confirmed yet. */
export interface Unsent<M> {
  readonly message: M;
  /** Its idempotency key. */
  readonly key: string;
  /** What it says about an earlier message. */
  readonly options: RelationOptions | undefined;
  /** Whether it has been sent before, so that it may already be stored. */
  readonly wasTried: boolean;
  /** Resolves with the id of the stored message; rejects like `send`. */
  readonly result: Promise<number>;
}

/** A point in time on two clocks: one may be set back, the other may stop while a computer sleeps. */
interface Moment {
  wall: number;
  steady: number;
}

interface Item<M> {
  message: M;
  /** Idempotency key: the server stores the message once. */
  key: string;
  options: RelationOptions | undefined;
  result: Promise<number>;
  resolve(id: number): void;
  reject(error: ChatError): void;
  /** When the message was first sent. */
  firstTry: Moment | undefined;
  /** How often this outbox has sent it. */
  tries: number;
  /** Why its outcome is unknown. */
  doubt: ChatError | undefined;
}

export interface OutboxLimits {
  /** Maximum number of messages that wait for their answers. */
  size: number;
  /** How long after its first attempt a message without an answer is retried, in milliseconds. */
  maxAge: number;
}

/** Milliseconds to wait before retrying a message that the server could not handle. */
const RETRY_DELAYS = [500, 1000, 2000, 5000, 10_000];
/** Errors that do not tell whether the message is stored. */
const UNANSWERED = new Set(["disconnected", "noAnswer", "timeout", "internalError", "rateLimited"]);
/** Errors that refuse the message itself, whenever it is sent. Other errors say nothing about an earlier attempt. */
const FINAL = new Set(["badArgument", "idempotencyConflict"]);

export const retryDelay = (tries: number): number => RETRY_DELAYS[Math.min(tries, RETRY_DELAYS.length - 1)]!;

export class Outbox<M> {
  readonly #request: (message: M, key: string, options: RelationOptions | undefined) => Promise<number>;
  readonly #limits: OutboxLimits;
  readonly #onFirstTry: (key: string) => void;
  #saved: SavedOutbox<M> | undefined;
  #items: Item<M>[] = [];
  /** The message that was sent and has not been answered yet. */
  #sending: Item<M> | undefined;
  /** Whether messages may be sent, that is, whether the room is joined. */
  #isOpen = false;
  /** Whether the room was left. Messages that may be stored are sent once more to learn their outcome; no others are. */
  #isEnding = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Whether the server supports idempotency keys. If not, no message is sent a second time. */
  remembersKeys = false;

  /**
   * `request` sends a message with its idempotency key and resolves with its id. `onFirstTry` is called before a
   * message is sent for the first time; until then it cannot be stored.
   */
  constructor(
    request: (message: M, key: string, options: RelationOptions | undefined) => Promise<number>,
    limits: OutboxLimits,
    onFirstTry: (key: string) => void,
  ) {
    this.#request = request;
    this.#limits = limits;
    this.#onFirstTry = onFirstTry;
  }

  get unsent(): Unsent<M>[] {
    return this.#items.map(({ message, key, options, firstTry, result }) => ({
      message,
      key,
      options,
      wasTried: firstTry !== undefined,
      result,
    }));
  }

  /** Store messages from now on, and load the stored ones. Throws a `ChatError`, `outboxUnusable`. */
  restore(saved: SavedOutbox<M>): void {
    if (this.#saved !== undefined) return;
    const left = saved.read();
    this.#saved = saved;
    for (const { message, key, sentAt, options } of left) {
      if (!this.#items.some((item) => item.key === key)) this.#append(message, key, sentAt, options);
    }
  }

  /**
   * Append a message; resolves with its id when it is stored. `sentAt`: when it was first sent, in milliseconds since
   * the epoch, if it was. A message that is already in the outbox, such as one from the storage, is not appended again.
   */
  add(message: M, key: string = newKey(), sentAt?: number, options?: RelationOptions): Promise<number> {
    const same = this.#items.find((item) => item.key === key);
    if (same !== undefined) {
      const isSame = JSON.stringify([same.message, same.options]) === JSON.stringify([message, options]);
      if (isSame) return same.result;
      return Promise.reject(new ChatError("idempotencyConflict", [key]));
    }
    if (this.#items.length >= this.#limits.size) {
      return Promise.reject(new ChatError("outboxFull", [this.#limits.size]));
    }
    try {
      this.#saved?.add({ message, key, sentAt, options });
    } catch (error) {
      return Promise.reject(error);
    }
    return this.#append(message, key, sentAt, options).result;
  }

  /** Send waiting messages while the room is joined. */
  pump(): void {
    this.#isOpen = true;
    this.#isEnding = false;
    this.#next();
  }

  /** Stop sending until `pump` is called. A pending answer still counts. */
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
   * The room was left while connected. Messages that were never sent are rejected with `error`. The others may be
   * stored; the server still knows their keys.
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
   * The client was closed. Stored messages are kept for the next client. `error`: the reason; the rejection of a login
   * says nothing about messages that were sent before.
   */
  closed(error: ChatError): void {
    this.connectionLost();
    const isKept = this.#saved !== undefined && error.code in LOCAL_ERROR_TEXTS;
    this.#saved = undefined;
    if (!isKept) return this.#endAll(error);
    for (const item of [...this.#items]) this.#end(item, error);
  }

  #append(message: M, key: string, sentAt: number | undefined, options: RelationOptions | undefined): Item<M> {
    let [resolve, reject]: [(id: number) => void, (error: ChatError) => void] = [() => {}, () => {}];
    const result = new Promise<number>((...settle) => ([resolve, reject] = settle));
    // Nobody may be waiting for a message from the storage.
    result.catch(() => {});
    const firstTry = sentAt === undefined ? undefined : momentOf(sentAt);
    const item = { message, key, options, result, resolve, reject, firstTry, tries: 0, doubt: undefined };
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

  /** Throws a `ChatError` if the message was sent and cannot be sent again because it could be stored twice. */
  #checkAge({ firstTry, doubt }: Item<M>): void {
    if (this.remembersKeys && age(firstTry!) <= this.#limits.maxAge) return;
    throw unconfirmed(doubt ?? new ChatError("noAnswer", ["roomMessage"]));
  }

  /** Throws a `ChatError`, `outboxUnusable`: do not send a message without recording the time, which limits retries. */
  #begin(item: Item<M>): void {
    const sentAt = Date.now();
    this.#saved?.mark(item.key, sentAt);
    item.firstTry = momentOf(sentAt);
    this.#onFirstTry(item.key);
  }

  async #send(item: Item<M>, isRepeat: boolean): Promise<void> {
    let outcome: number | ChatError;
    try {
      outcome = await this.#request(item.message, item.key, item.options);
    } catch (error) {
      // Any other error means that the message cannot be encoded and was not sent.
      outcome = error instanceof ChatError ? error : new ChatError("badArgument", [1, String(error)]);
    }
    if (typeof outcome !== "number" && UNANSWERED.has(outcome.code)) return this.#sendAgain(item, outcome);
    if (this.#sending === item) this.#sending = undefined;
    if (typeof outcome !== "number" && isRepeat && !FINAL.has(outcome.code)) outcome = unconfirmed(outcome);
    this.#end(item, outcome);
    this.#next();
  }

  /** The message keeps its place. After a lost connection, it waits until the room is joined again. */
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

  /** Reject all messages, those that were never sent with `error`. */
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
      // After a reload it is sent once more, and the server knows its key; or it is too old by then.
    }
    if (typeof outcome === "number") item.resolve(outcome);
    else item.reject(outcome);
  }
}

const unconfirmed = (cause: ChatError): ChatError => new ChatError("unconfirmed", [cause.message]);

function momentOf(wall: number): Moment {
  return { wall, steady: performance.now() - Math.max(0, Date.now() - wall) };
}

/** Milliseconds since that time. */
function age({ wall, steady }: Moment): number {
  return Math.max(Date.now() - wall, performance.now() - steady);
}

/** A new idempotency key. */
export function newKey(): string {
  // randomUUID is not available on pages without TLS.
  const bytes = globalThis.crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
