/** Limits how many jobs run at the same time. */

export class Slots {
  readonly #size: number;
  readonly #waiting: (() => void)[] = [];
  #used = 0;

  /** `size`: the maximum number of jobs that run at the same time. */
  constructor(size: number) {
    this.#size = Math.max(1, size);
  }

  /** Run `work` when a slot is free. Urgent work goes first. */
  async run<T>(work: () => Promise<T>, isUrgent = false): Promise<T> {
    if (this.#used < this.#size) this.#used += 1;
    else {
      // The finished job passes its slot on.
      await new Promise<void>((resolve) => {
        if (isUrgent) this.#waiting.unshift(resolve);
        else this.#waiting.push(resolve);
      });
    }
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#used -= 1;
    }
  }
}
