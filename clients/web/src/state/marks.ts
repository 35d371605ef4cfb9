/** Tells the server how far a room was read, at most once a second. */

const INTERVAL_MS = 1000;

export class MarkSender {
  readonly #send: (id: number) => Promise<number>;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** The last message read, and the one that the server certainly knows of. */
  #wanted = 0;
  #known = 0;
  #sentAt = -Infinity;

  /** `send`: moves the mark on the server, and resolves with the id that it has then. */
  constructor(send: (id: number) => Promise<number>) {
    this.#send = send;
  }

  /** The server has this mark. */
  know(id: number): void {
    this.#known = Math.max(this.#known, id);
  }

  /** The room was read up to a message here. */
  read(id: number): void {
    this.#wanted = Math.max(this.#wanted, id);
    this.retry();
  }

  /** Send what the server does not know, for example after a reconnect. */
  retry(): void {
    if (this.#wanted <= this.#known || this.#timer !== undefined) return;
    const delay = this.#sentAt + INTERVAL_MS - Date.now();
    if (delay > 0) this.#timer = setTimeout(() => this.#now(), delay);
    else this.#now();
  }

  /** The ids of the room have started over. */
  reset(): void {
    this.stop();
    this.#wanted = this.#known = 0;
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #now(): void {
    this.stop();
    this.#sentAt = Date.now();
    // Without a connection, `retry` after the next join sends it.
    this.#send(this.#wanted).then(
      (id) => this.know(id),
      () => undefined,
    );
  }
}
