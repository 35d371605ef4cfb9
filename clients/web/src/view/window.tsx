/** Long lists: only the rows in view and some around them are in the document. Space stands for the others. */

import {
  defaultRangeExtractor,
  elementScroll,
  observeElementOffset,
  observeElementRect,
  type Range,
  Virtualizer,
} from "@tanstack/virtual-core";
import { useLayoutEffect, useReducer, useRef } from "preact/hooks";

/** Rows that are kept ready on each side, unless a list says otherwise. */
const AROUND = 8;

/** What `useWindow` has to know about a list. */
export interface ListOptions {
  count: number;
  /** Another function if keys have changed. */
  keyOf: (index: number) => string;
  /** The height in pixels that a row probably has. */
  estimate: (index: number) => number;
  /** The number of rows that are kept ready on each side. */
  around?: number;
  /** Whether there are more rows than `count`, so that the number of all is not known. */
  isPart?: boolean;
}

/** A row, by its index, or the height of the space in place of others. */
export type Part = { index: number } | { space: number; key: string };

/**
 * The window of a list. The rows stand in the document one after the other, so rows whose heights are not what was
 * expected move those below them, and nothing ever overlaps.
 */
export class ListWindow {
  readonly #box: () => HTMLElement | null;
  readonly #list: () => HTMLElement | null;
  readonly #render: () => void;
  readonly #virtualizer: Virtualizer<HTMLElement, HTMLElement>;
  #options: ListOptions;
  #shown: readonly number[] = [];
  /** The index of each element, as it was told last. */
  readonly #told = new WeakMap<Element, number>();
  #focused: string | null = null;
  #margin = 0;
  #isMeasuring = false;
  /** Called when rows have got other heights and remain displayed. */
  onHeights: () => void = () => undefined;

  constructor(
    box: () => HTMLElement | null,
    list: () => HTMLElement | null,
    render: () => void,
    options: ListOptions,
  ) {
    this.#box = box;
    this.#list = list;
    this.#render = render;
    this.#options = options;
    this.#virtualizer = new Virtualizer(this.#virtualizerOptions());
    // Heights never move the box by themselves: the list may have to keep something in its place.
    this.#virtualizer.shouldAdjustScrollPositionOnItemSizeChange = () => false;
  }

  update(options: ListOptions): void {
    this.#options = options;
    this.#virtualizer.setOptions(this.#virtualizerOptions());
  }

  #virtualizerOptions() {
    const { count, keyOf, estimate, around = AROUND } = this.#options;
    return {
      count,
      getItemKey: keyOf,
      estimateSize: estimate,
      overscan: around,
      scrollMargin: this.#margin,
      getScrollElement: this.#box,
      observeElementRect,
      observeElementOffset,
      scrollToFn: elementScroll,
      measureElement: heightOf,
      rangeExtractor: this.#extract,
      onChange: () => this.#onChange(),
    };
  }

  /** Replaced when another row gets the focus, so that the virtualizer asks again. */
  #extract = (range: Range) => this.#choose(range);

  /** The rows in view; and the one with the focus, which must not disappear. */
  #choose(range: Range): number[] {
    const indexes = defaultRangeExtractor(range);
    const focused = this.#focused === null ? -1 : this.indexOf(this.#focused);
    if (focused < 0 || (focused >= indexes[0]! && focused <= indexes.at(-1)!)) return indexes;
    return focused < indexes[0]! ? [focused, ...indexes] : [...indexes, focused];
  }

  #onChange(): void {
    if (this.#isMeasuring) return;
    if (this.#isCurrent()) this.onHeights();
    else this.#render();
  }

  /**
   * Whether the rows that are displayed are those that should be. The space below them may differ by what they are
   * higher than expected, which nobody sees; the next rendering corrects it.
   */
  #isCurrent(): boolean {
    return this.#virtualizer.getVirtualIndexes() === this.#shown;
  }

  /** Display the rows again. */
  refresh(): void {
    this.#render();
  }


  /** Everything to be displayed, from top to bottom. */
  parts(): Part[] {
    const parts: Part[] = [];
    this.#shown = this.#virtualizer.getVirtualIndexes();
    let end = this.#margin;
    for (const { index, start, end: itsEnd } of this.#virtualizer.getVirtualItems()) {
      if (start > end) parts.push({ space: start - end, key: `space-${parts.length === 0 ? "above" : "between"}` });
      parts.push({ index });
      end = itsEnd;
    }
    const below = this.#virtualizer.getTotalSize() + this.#margin - end;
    if (below > 0) parts.push({ space: below, key: "space-below" });
    return parts;
  }

  // Places

  /** The index of a row; -1 if there is none with that key. */
  indexOf(key: string): number {
    const { count, keyOf } = this.#options;
    for (let index = count - 1; index >= 0; index--) if (keyOf(index) === key) return index;
    return -1;
  }

  /** Where a row begins, in pixels from the top of the content, as far as is known. */
  startOf(index: number): number {
    this.#virtualizer.getTotalSize(); // brings the places up to date
    return this.#virtualizer.measurementsCache[index]?.start ?? 0;
  }

  /** Display the rows at another place with the next rendering. The box itself is scrolled afterwards. */
  look(offset: number): void {
    this.#virtualizer.scrollOffset = Math.max(0, offset);
  }

  lookBy(distance: number): void {
    this.look((this.#virtualizer.scrollOffset ?? 0) + distance);
  }

  lookAtEnd(): void {
    this.look(this.#virtualizer.getTotalSize() + this.#margin - (this.#virtualizer.scrollRect?.height ?? 0));
  }

  lookAt(index: number): void {
    this.look(this.startOf(index) - (this.#virtualizer.scrollRect?.height ?? 0) / 2);
  }

  /** The elements of the rows in the document, with their indexes. */
  *elements(): Generator<[HTMLElement, number]> {
    let position = 0;
    for (const element of this.#list()?.children ?? []) {
      if (element.classList.contains("space")) continue;
      const index = this.#shown[position++];
      if (index !== undefined) yield [element as HTMLElement, index];
    }
  }

  elementOf(key: string): HTMLElement | undefined {
    for (const [element, index] of this.elements()) if (this.#options.keyOf(index) === key) return element;
    return undefined;
  }

  // The document

  mount(): () => void {
    const unmount = this.#virtualizer._didMount();
    this.#virtualizer._willUpdate();
    const list = this.#list()!;
    const onFocus = (event: FocusEvent) => {
      let row = event.type === "focusin" ? (event.target as Element) : null;
      while (row && row.parentElement !== list) row = row.parentElement;
      const index = Number(row?.getAttribute("data-index") ?? -1);
      this.#setFocused(index >= 0 && index < this.#options.count ? this.#options.keyOf(index) : null);
    };
    list.addEventListener("focusin", onFocus);
    list.addEventListener("focusout", onFocus);
    return () => {
      list.removeEventListener("focusin", onFocus);
      list.removeEventListener("focusout", onFocus);
      unmount();
    };
  }

  #setFocused(key: string | null): void {
    if (key === this.#focused) return;
    this.#focused = key;
    this.#extract = (range) => this.#choose(range);
  }

  /**
   * After each rendering: read the heights of the rows, and say where they are among all. Returns whether the rows are
   * the right ones for their heights; otherwise another rendering follows at once.
   */
  commit(): boolean {
    this.#virtualizer._willUpdate();
    const box = this.#box();
    const list = this.#list();
    if (!box || !list) return false;
    this.#isMeasuring = true;
    try {
      const margin = list.getBoundingClientRect().top - box.getBoundingClientRect().top + box.scrollTop;
      const { count, isPart = false } = this.#options;
      for (const [element, index] of this.elements()) {
        const told = this.#told.get(element);
        if (told !== index) {
          this.#told.set(element, index);
          element.setAttribute("data-index", String(index));
          element.setAttribute("aria-posinset", String(index + 1));
        }
        set(element, "aria-setsize", isPart ? -1 : count);
        // From now on the virtualizer observes its height.
        if (told === undefined) {
          this.#virtualizer.measureElement(element);
          this.#virtualizer.resizeItem(index, heightOf(element));
        }
      }
      this.#virtualizer.measureElement(null); // forgets those that are gone
      if (Math.abs(margin - this.#margin) >= 1) {
        this.#margin = margin;
        this.update(this.#options);
      }
    } finally {
      this.#isMeasuring = false;
    }
    const isCurrent = this.#isCurrent();
    if (!isCurrent) this.#render();
    return isCurrent;
  }
}

/** Heights are not rounded, because many of them are added. */
const heightOf = (element: HTMLElement): number => element.getBoundingClientRect().height;

function set(element: HTMLElement, name: string, value: number): void {
  if (element.getAttribute(name) !== String(value)) element.setAttribute(name, String(value));
}

/**
 * The window of a list in a box that scrolls. Both have to be there as long as the component. With each rendering, first
 * call `update`, then display `parts`; after it, `commit` in a layout effect.
 */
export function useWindow(
  box: { current: HTMLElement | null },
  list: { current: HTMLElement | null },
  options: ListOptions,
): ListWindow {
  const [, render] = useReducer((renders: number, _: undefined) => renders + 1, 0);
  const kept = useRef<ListWindow | undefined>(undefined);
  kept.current ??= new ListWindow(() => box.current, () => list.current, () => render(undefined), options);
  const made = kept.current;
  useLayoutEffect(() => made.mount(), []);
  return made;
}

/** Stands for rows that are not in the document. */
export function Space({ height }: { height: number }) {
  return <li class="space" role="presentation" aria-hidden="true" style={{ height: `${height}px` }} />;
}
