/** Mentions that are being written: an `@` and the beginning of a name. */

import { compareNames } from "./order.js";

export interface Writing {
  /** Where the `@` is. */
  start: number;
  /** What is written after it. */
  query: string;
}

const MAX_NAME = 40;

/** The mention before the caret, or null. */
export function mentionAt(text: string, caret: number): Writing | null {
  const start = text.lastIndexOf("@", caret - 1);
  if (start < 0 || caret - start > MAX_NAME) return null;
  const query = text.slice(start + 1, caret);
  // In the middle of a word, as in a mail address, it is none.
  if (query.includes("\n") || /[\p{L}\p{N}_]$/u.test(text.slice(Math.max(0, start - 2), start))) return null;
  return { start, query };
}

/** The names that begin with a query, then those with a word that does. */
export function suggestions(names: Iterable<string>, query: string, limit: number): string[] {
  const wanted = query.toLowerCase();
  const begins: string[] = [];
  const contains: string[] = [];
  for (const name of names) {
    const lower = name.toLowerCase();
    if (lower.startsWith(wanted)) begins.push(name);
    else if (wanted !== "" && lower.includes(` ${wanted}`)) contains.push(name);
  }
  return [...begins.sort(compareNames), ...contains.sort(compareNames)].slice(0, limit);
}
