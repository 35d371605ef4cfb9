/** State that user interfaces show: an immutable snapshot, and listeners that hear of a new one. */

export class View<S extends object> {
  #snapshot: S;
  readonly #listeners = new Set<() => void>();
  #isTold = true;

  constructor(first: S) {
    this.#snapshot = first;
  }

  /** The state; another object whenever something has changed. */
  readonly snapshot = (): S => this.#snapshot;

  /** Call a listener after each change. Returns a function that removes it. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Change parts of the state. Listeners hear of all changes of one turn together. */
  protected set(changes: Partial<S>): void {
    const names = Object.keys(changes) as (keyof S)[];
    if (names.every((name) => Object.is(this.#snapshot[name], changes[name]))) return;
    this.#snapshot = { ...this.#snapshot, ...changes };
    if (!this.#isTold) return;
    this.#isTold = false;
    queueMicrotask(() => {
      this.#isTold = true;
      for (const listener of [...this.#listeners]) listener();
    });
  }
}
