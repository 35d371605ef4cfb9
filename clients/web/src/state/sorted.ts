/** Names in order, kept from one time to the next: sorting thousands of names takes longer than a frame. */

import { compareNames } from "./order.js";

/** The names that contain a text, without regard to case. */
export function matching(names: readonly string[], text: string): readonly string[] {
  const wanted = text.trim().toLowerCase();
  return wanted === "" ? names : names.filter((name) => name.toLowerCase().includes(wanted));
}

/** The names with the largest numbers first; those with the same number stay in their order. */
export function byNumber(names: readonly string[], numberOf: (name: string) => number): readonly string[] {
  return [...names].sort((one, other) => numberOf(other) - numberOf(one));
}

export class SortedNames {
  #known = new Set<string>();
  #sorted: readonly string[] = [];

  /** The names in natural order. Returns the same array as before if they are the same names. */
  of(names: Iterable<string>): readonly string[] {
    const now = new Set(names);
    const added = [...now].filter((name) => !this.#known.has(name));
    const kept = this.#sorted.filter((name) => now.has(name));
    if (added.length === 0 && kept.length === this.#sorted.length) return this.#sorted;
    this.#known = now;
    this.#sorted = merged(kept, added.sort(compareNames));
    return this.#sorted;
  }
}

/** Two sorted lists in one. */
function merged(many: readonly string[], few: readonly string[]): string[] {
  if (many.length === 0) return [...few];
  const all: string[] = [];
  let from = 0;
  for (const name of few) {
    const place = placeOf(many, name, from);
    for (; from < place; from++) all.push(many[from]!);
    all.push(name);
  }
  for (; from < many.length; from++) all.push(many[from]!);
  return all;
}

/** Where a name belongs in a sorted list, at `from` or later. */
function placeOf(names: readonly string[], name: string, from: number): number {
  let end = names.length;
  while (from < end) {
    const middle = (from + end) >> 1;
    if (compareNames(names[middle]!, name) <= 0) from = middle + 1;
    else end = middle;
  }
  return from;
}
