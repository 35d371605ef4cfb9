/** Parts of the page that are loaded when they are first needed, so that the page itself opens quickly. */

import { signal } from "@preact/signals";

/**
 * A module behind `import()`. Components that read `value` are displayed again when it has arrived.
 *
 * ```ts
 * const markdown = new Lazy(() => import("./markdown.js"));
 * const body = markdown.value?.render(text) ?? text;
 * ```
 */
export class Lazy<Module> {
  readonly #import: () => Promise<Module>;
  readonly #module = signal<Module | undefined>(undefined);
  #loading: Promise<Module> | undefined;

  constructor(load: () => Promise<Module>) {
    this.#import = load;
  }

  /** The module, undefined until it is there. The first read starts to load it. */
  get value(): Module | undefined {
    // Without a connection it does not arrive; the next read after that tries again.
    if (this.#module.value === undefined) this.load().catch(() => undefined);
    return this.#module.value;
  }

  /** Rejects if the module cannot be loaded; a later call tries again. */
  load(): Promise<Module> {
    this.#loading ??= this.#import().then(
      (module) => (this.#module.value = module),
      (error: unknown) => {
        this.#loading = undefined;
        throw error;
      },
    );
    return this.#loading;
  }
}
