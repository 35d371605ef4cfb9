/** A small typed event emitter. */

/** The arguments of an event, given the type of its listeners. */
export type EventArguments<Listener> = Listener extends (...args: infer Args) => void ? Args : never;

type AnyListener = (...args: unknown[]) => void;

/** `Events`: an interface with one method per event, whose type is that of the event's listeners. */
export class Emitter<Events extends object> {
  readonly #listeners = new Map<keyof Events, Set<AnyListener>>();

  /** Call a listener for every event with this name. Returns a function that removes the listener. */
  on<K extends keyof Events>(event: K, listener: Events[K]): () => void {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(listener as AnyListener));
    return () => this.off(event, listener);
  }

  /** Call a listener for the next event with this name only. Returns a function that removes the listener. */
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
        // A listener that throws must not stop the others or the client.
        report(error);
      }
    }
  }
}

/** Report an error as uncaught, so that browsers and Node.js show it. */
function report(error: unknown): void {
  if (typeof reportError === "function") reportError(error);
  else
    queueMicrotask(() => {
      throw error;
    });
}
