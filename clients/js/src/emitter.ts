/** A small typed event emitter. */

/** The arguments of an event whose listeners are of a type. */
export type EventArguments<Listener> = Listener extends (...args: infer Args) => void ? Args : never;

type AnyListener = (...args: unknown[]) => void;

/** `Events`: an interface whose methods are the listeners of the events with their names. */
export class Emitter<Events extends object> {
  readonly #listeners = new Map<keyof Events, Set<AnyListener>>();

  /** Call a listener on every event of a name. Returns a function that ends it. */
  on<K extends keyof Events>(event: K, listener: Events[K]): () => void {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(listener as AnyListener));
    return () => this.off(event, listener);
  }

  /** Call a listener on the next event of a name only. Returns a function that ends it before. */
  once<K extends keyof Events>(event: K, listener: Events[K]): () => void {
    const wrapped: AnyListener = (...args) => {
      stop();
      (listener as AnyListener)(...args);
    };
    const stop = this.on(event, wrapped as Events[K]);
    return stop;
  }

  off<K extends keyof Events>(event: K, listener: Events[K]): void {
    this.#listeners.get(event)?.delete(listener as AnyListener);
  }

  protected emit<K extends keyof Events>(event: K, ...args: EventArguments<Events[K]>): void {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) {
      try {
        listener(...(args as unknown[]));
      } catch (error) {
        // One that fails stops neither the others nor the client.
        report(error);
      }
    }
  }
}

/** As an uncaught error, which browsers and Node.js show. */
function report(error: unknown): void {
  if (typeof reportError === "function") reportError(error);
  else
    queueMicrotask(() => {
      throw error;
    });
}
