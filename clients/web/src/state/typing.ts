/** Who is typing in a room: told at intervals while a person types, and forgotten when no more is heard. */

import { signal } from "@preact/signals";

/** Milliseconds between two notices of a person who types, and after which a notice is out of date. */
const REPEAT_MS = 3000;
const EXPIRY_MS = 5000;
/** The maximum number of people who are remembered as typing. */
const MAX_NAMES = 50;

export class Typing {
  /** The others who are typing, in the order in which they began. */
  readonly names = signal<readonly string[]>([]);
  readonly #timers = new Map<string, ReturnType<typeof setTimeout>>();
  readonly #tell: () => void;
  #toldAt = -Infinity;

  /** `tell`: sends a notice to the others. */
  constructor(tell: () => void) {
    this.#tell = tell;
  }

  /** The user has changed the text. */
  onInput(text: string): void {
    const now = Date.now();
    if (text.trim() === "" || now - this.#toldAt < REPEAT_MS) return;
    this.#toldAt = now;
    this.#tell();
  }

  /** The user has sent the text. The next one is told at once. */
  onSent(): void {
    this.#toldAt = -Infinity;
  }

  /** Another person is typing. */
  hear(name: string): void {
    const timer = this.#timers.get(name);
    if (timer === undefined && this.#timers.size >= MAX_NAMES) return;
    clearTimeout(timer);
    this.#timers.set(
      name,
      setTimeout(() => this.forget(name), EXPIRY_MS),
    );
    if (timer === undefined) this.names.value = [...this.names.value, name];
  }

  /** A person has sent the message, or left. */
  forget(name: string): void {
    if (!this.#timers.has(name)) return;
    clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
    this.names.value = this.names.value.filter((one) => one !== name);
  }

  /** Nobody is heard any longer. */
  clear(): void {
    for (const name of [...this.#timers.keys()]) this.forget(name);
  }
}
