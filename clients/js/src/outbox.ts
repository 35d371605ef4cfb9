/** Messages on their way to one room: sent one after another, and not twice when an answer gets lost. */

import { ChatError } from "./errors.js";

interface Item<M> {
  message: M;
  resolve(id: number): void;
  reject(error: ChatError): void;
  /** The last message of the room that was known when this was sent: if it is stored, its id is larger. */
  sentAfter: number;
  /** The room has had such a message since: this one, if the answer should get lost. */
  seenId: number | undefined;
  /** The answer was lost with the connection: it may be stored, or not. */
  isInDoubt: boolean;
}

export class Outbox<M> {
  readonly #request: (message: M) => Promise<number>;
  readonly #lastId: () => number;
  readonly #items: Item<M>[] = [];
  /** The one that was sent and has no answer yet. */
  #sending: Item<M> | undefined;
  #isOpen = false;

  /** `request` sends a message and resolves with its id; `lastId`: the last message of the room that is known. */
  constructor(request: (message: M) => Promise<number>, lastId: () => number) {
    this.#request = request;
    this.#lastId = lastId;
  }

  /** Append a message; resolves with its id when it is stored. */
  add(message: M): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#items.push({ message, resolve, reject, sentAfter: 0, seenId: undefined, isInDoubt: false });
    });
  }

  /** Send what there is, while the room is joined. */
  pump(): void {
    this.#isOpen = true;
    const item = this.#items[0];
    if (this.#sending !== undefined || item === undefined) return;
    this.#sending = item;
    item.sentAfter = this.#lastId();
    item.seenId = undefined;
    void this.#send(item);
  }

  async #send(item: Item<M>): Promise<void> {
    let outcome: () => void;
    try {
      const id = await this.#request(item.message);
      outcome = () => item.resolve(id);
    } catch (error) {
      const known = error instanceof ChatError ? error : new ChatError("internalError", [String(error)]);
      // Stays at its place: the history will tell.
      if (known.code === "disconnected") return;
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

  connectionLost(): void {
    this.#isOpen = false;
    const item = this.#sending;
    this.#sending = undefined;
    if (item === undefined) return;
    if (item.seenId === undefined) item.isInDoubt = true;
    else this.#finish(item, item.seenId);
  }

  /** A message of this user has come from the room; `isSame` compares it with one that was sent. */
  confirm(isSame: (message: M) => boolean, id: number): void {
    const item = this.#items[0];
    if (item === undefined || (item !== this.#sending && !item.isInDoubt)) return;
    if (id <= item.sentAfter || !isSame(item.message)) return;
    if (item.isInDoubt) this.#finish(item, id);
    else item.seenId ??= id;
  }

  /** Messages of the room are lost, and with them the way to know what was stored. */
  forgetHistory(): void {
    while (this.#items[0]?.isInDoubt) this.#items.shift()!.reject(new ChatError("unconfirmed"));
  }

  /** The room is joined and all that it has is known: what is still in doubt was not stored. */
  caughtUp(): void {
    const item = this.#items[0];
    if (item) item.isInDoubt = false;
    this.pump();
  }

  #finish(item: Item<M>, id: number): void {
    this.#items.shift();
    item.resolve(id);
  }

  rejectAll(error: ChatError): void {
    this.#isOpen = false;
    this.#sending = undefined;
    for (const item of this.#items.splice(0)) item.reject(error);
  }
}
