/** Who is typing in a room, for user interfaces. */

import type { ChatClient } from "../client.js";
import type { Room } from "../room.js";
import { View } from "./view.js";

export interface TypingSnapshot {
  /** The others who are typing, in the order in which they began. */
  users: readonly string[];
}

/** The name of the event, which the web chat uses, too. */
const TYPING = "typing";
/** Milliseconds between two events while the text changes. */
const SEND_PAUSE = 3000;
/** Milliseconds for which a user is shown after the last event. */
const SHOWN_FOR = 5000;

export class TypingView extends View<TypingSnapshot> {
  readonly #client: ChatClient<never>;
  readonly #room: Room<never>;
  readonly #timers = new Map<string, ReturnType<typeof setTimeout>>();
  #sentAt = -Infinity;

  constructor(client: ChatClient<never>, name: string) {
    super({ users: [] });
    this.#client = client;
    this.#room = client.room(name);
  }

  /** Follow who is typing until the returned function is called. */
  readonly use = (): (() => void) => {
    const stops = [
      this.#room.on("event", ({ name, author }) => {
        if (name === TYPING && author !== null && author !== this.#client.login?.userName) this.#show(author);
      }),
      this.#room.on("message", ({ author }) => this.#hide(author)),
      this.#room.on("userLeft", (userName) => this.#hide(userName)),
      this.#room.on("state", (state) => state !== "joined" && this.#hideAll()),
    ];
    return () => {
      for (const stop of stops) stop();
      this.#hideAll();
    };
  };

  /** Call this when the text of the user has changed: the others are told, at most every three seconds. */
  readonly tell = (): void => {
    const now = Date.now();
    if (now - this.#sentAt < SEND_PAUSE || this.#room.state !== "joined") return;
    this.#sentAt = now;
    this.#room.sendEvent(TYPING).catch(() => {
      // It may get lost.
    });
  };

  #show(user: string): void {
    clearTimeout(this.#timers.get(user));
    this.#timers.set(user, setTimeout(() => this.#hide(user), SHOWN_FOR));
    this.set({ users: this.#names() });
  }

  #hide(user: string | undefined): void {
    if (user === undefined || !this.#timers.has(user)) return;
    clearTimeout(this.#timers.get(user));
    this.#timers.delete(user);
    this.set({ users: this.#names() });
  }

  #hideAll(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    this.set({ users: this.#names() });
  }

  /** The same list as long as it has the same names. */
  #names(): readonly string[] {
    const before = this.snapshot().users;
    const names = [...this.#timers.keys()];
    return names.length === before.length && names.every((name, index) => name === before[index]) ? before : names;
  }
}
