/** The place in a conversation that somebody looks at: it stays in view, whatever changes above or below it. */

import type { ListOptions, ListWindow } from "./window.js";

/** Distance in pixels from the end for messages to count as seen. */
const AT_END = 48;

/** A row whose text stays at its distance from the top of the content: `top`, null until it is displayed in the middle. */
interface Anchor {
  key: string;
  top: number | null;
}

export class Place {
  readonly #window: ListWindow;
  /** null: the end, which is followed. */
  #anchor: Anchor | null = null;
  #keyOf: ListOptions["keyOf"] | undefined;

  /** `key`: the row to begin at; null for the end. */
  constructor(window: ListWindow, key: string | null) {
    this.#window = window;
    if (key !== null) this.toRow(key);
  }

  get isAtEnd(): boolean {
    return this.#anchor === null;
  }

  toEnd(): void {
    this.#anchor = null;
  }

  /** Bring a row into the middle. */
  toRow(key: string): void {
    this.#anchor = { key, top: null };
  }

  /** Where the row in view begins, as far as is known. */
  #expected(): number {
    const index = this.#anchor === null ? -1 : this.#window.indexOf(this.#anchor.key);
    return index < 0 ? 0 : this.#window.startOf(index);
  }

  /** Before a rendering: update the window, and choose the rows to display. */
  aim(options: ListOptions): void {
    const isMoving = this.#anchor?.top != null && options.keyOf !== this.#keyOf;
    const before = isMoving ? this.#expected() : 0;
    this.#window.update(options);
    this.#keyOf = options.keyOf;
    if (this.#anchor === null) this.#window.lookAtEnd();
    else if (this.#anchor.top === null) this.#window.lookAt(this.#window.indexOf(this.#anchor.key));
    else if (isMoving) this.#window.lookBy(this.#expected() - before);
  }

  /** After a rendering: scroll so that what is seen has not moved. */
  restore(box: HTMLElement): void {
    const anchor = this.#anchor;
    if (anchor === null) return scroll(box, box.scrollHeight - box.clientHeight);
    const row = this.#window.elementOf(anchor.key);
    if (row === undefined) return;
    if (anchor.top === null) {
      const { height } = row.getBoundingClientRect();
      scroll(box, topOf(box, row) - (box.clientHeight - height) / 2);
    } else scroll(box, box.scrollTop + textTop(box, row) - anchor.top);
    if (anchor.top !== null) anchor.top = textTop(box, row);
  }

  /** After scrolling: remember the first row in view. */
  remember(box: HTMLElement): void {
    if (box.scrollHeight - box.scrollTop - box.clientHeight < AT_END) return this.toEnd();
    const { top } = box.getBoundingClientRect();
    for (const [element] of this.#window.elements()) {
      const { key } = element.dataset;
      // Days and the divider come and go, so they cannot hold the place.
      if (key === undefined || element.getBoundingClientRect().bottom <= top) continue;
      this.#anchor = { key, top: textTop(box, element) };
      return;
    }
  }
}

/** Every write stops a scrolling that is still in motion, so there is none without need. */
function scroll(box: HTMLElement, top: number): void {
  if (Math.abs(box.scrollTop - top) >= 1) box.scrollTop = top;
}

const topOf = (box: HTMLElement, element: Element): number =>
  element.getBoundingClientRect().top - box.getBoundingClientRect().top + box.scrollTop;

/** Where the text of a row begins: what stands above it, such as the name of the author, may come and go. */
const textTop = (box: HTMLElement, row: Element): number => topOf(box, row.querySelector("p") ?? row);
