/** A list that the server gives page by page, loaded as a whole up to a bound, sorted and searched here. */

import { computed, signal } from "@preact/signals";

import { compareNames, explain } from "./texts.js";

/** Items that are loaded at most. When there are more, the server searches. */
export const MAX_ITEMS = 20_000;
/** Items that one request asks for. */
export const PAGE = 1000;
/** Time in ms from the last key to a search of the server. */
const SEARCH_DELAY = 300;
/** Time in ms for which changes are collected. */
const CHANGE_DELAY = 250;

export interface Page<T> {
  items: readonly T[];
  cursor: string | null;
}

export interface Sorting {
  key: string;
  isDescending: boolean;
}

/** `contains`: null for all. */
export type Load<T> = (cursor: string | null, contains: string | null, signal: AbortSignal) => Promise<Page<T>>;

export class Listing<T> {
  readonly items = signal<readonly T[]>([]);
  readonly isLoading = signal(false);
  readonly error = signal<string | null>(null);
  /** Whether there are more items than may be loaded. */
  readonly isCut = signal(false);
  readonly search = signal("");
  readonly sorting = signal<Sorting>({ key: "name", isDescending: false });
  /** What the server has searched for; null: `items` are all there are, or the first ones. */
  private readonly searched = signal<string | null>(null);
  /** Whether all items are here, so that the server need not search. */
  private isWhole = false;
  private running: AbortController | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private flush: ReturnType<typeof setTimeout> | undefined;

  private changes = new Map<string, T | null>();

  private readonly ordered = computed<readonly T[]>(() =>
    [...this.items.value].sort((one, other) => compareNames(this.nameOf(one), this.nameOf(other))),
  );

  /** What is shown: found, and in order. */
  readonly shown = computed<readonly T[]>(() => {
    const wanted = this.search.value.trim().toLowerCase();
    // What the server has found is right, even if it folds letters in another way.
    const isFound = wanted === "" || this.searched.value !== null;
    const found = this.ordered.value.filter((item) => isFound || this.nameOf(item).toLowerCase().includes(wanted));
    const { key, isDescending } = this.sorting.value;
    const value = this.values[key];
    if (value) return found.sort((one, other) => (isDescending ? value(other) - value(one) : value(one) - value(other)));
    return isDescending ? found.reverse() : found;
  });

  constructor(
    private readonly load: Load<T>,
    readonly nameOf: (item: T) => string,
    /** Numbers to sort by; "name" is the name. */
    private readonly values: Record<string, (item: T) => number> = {},
  ) {}

  /** Load the list again. What is shown stays until the first page has come. */
  async refresh(): Promise<void> {
    this.stop();
    const running = new AbortController();
    this.running = running;
    const contains = this.isWhole || !this.isCut.value ? null : this.search.value.trim() || null;
    const found = new Map<string, T>();
    // Items that are shown already do not go away to come back.
    const isFresh = this.items.value.length === 0 || contains !== this.searched.value;
    this.isLoading.value = true;
    this.error.value = null;
    try {
      let cursor: string | null = null;
      do {
        const page: Page<T> = await this.load(cursor, contains, running.signal);
        for (const item of page.items) found.set(this.nameOf(item), item);
        cursor = page.cursor;
        if (isFresh) this.publish(found, contains);
      } while (cursor !== null && found.size < MAX_ITEMS);
      this.publish(found, contains);
      if (contains === null) {
        this.isWhole = cursor === null;
        this.isCut.value = !this.isWhole;
      }
    } catch (error) {
      if (!running.signal.aborted) this.error.value = explain(error);
    } finally {
      if (this.running === running) {
        this.running = null;
        this.isLoading.value = false;
      }
    }
  }

  /** Search while somebody types. */
  find(text: string): void {
    this.search.value = text;
    if (!this.isCut.value) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.refresh(), SEARCH_DELAY);
  }

  /** Sort by a column; again: the other way round. Numbers begin with the largest. */
  sortBy(key: string): void {
    const { key: before, isDescending } = this.sorting.value;
    this.sorting.value = { key, isDescending: key === before ? !isDescending : key !== "name" };
  }

  /** Put one item in, or take it out. Changes that come close together are shown together. */
  change(name: string, item: T | null): void {
    this.changes.set(name, item);
    this.flush ??= setTimeout(() => this.apply(), CHANGE_DELAY);
  }

  /** An item as it will be shown next. */
  get(name: string): T | undefined {
    const changed = this.changes.get(name);
    if (changed !== undefined) return changed ?? undefined;
    return this.items.value.find((item) => this.nameOf(item) === name);
  }

  private apply(): void {
    const items = new Map(this.items.value.map((item) => [this.nameOf(item), item]));
    for (const [name, item] of this.changes) {
      if (item === null) items.delete(name);
      else items.set(name, item);
    }
    this.forget();
    this.items.value = [...items.values()];
  }

  private forget(): void {
    clearTimeout(this.flush);
    this.flush = undefined;
    this.changes = new Map();
  }

  /** Stop loading. */
  stop(): void {
    clearTimeout(this.timer);
    this.forget();
    this.running?.abort();
    this.running = null;
    this.isLoading.value = false;
  }

  private publish(found: ReadonlyMap<string, T>, contains: string | null): void {
    this.items.value = [...found.values()];
    this.searched.value = contains;
  }
}
