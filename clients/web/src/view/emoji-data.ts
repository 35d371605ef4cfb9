/** All emoji, with their names and what they are found by. Large, so that it is loaded when it is first needed. */

import all from "emojibase-data/en/compact.json";
import messages from "emojibase-data/en/messages.json";

export interface Emoji {
  unicode: string;
  /** Its name. */
  label: string;
}

export interface Group {
  name: string;
  emoji: Emoji[];
}

interface Entry extends Emoji {
  group: number;
  order: number;
  /** Its name and keywords, in lower case. */
  words: string[];
}

/** What emoji consist of, not emoji themselves. */
const COMPONENTS = "component";
const MAX_FOUND = 96;

const entries: Entry[] = all
  .filter((one) => one.group !== undefined && one.order !== undefined)
  .map(({ unicode, label, group, order, tags }) => ({
    unicode,
    label,
    group: group!,
    order: order!,
    words: [...label.toLowerCase().split(/[^\p{L}\p{N}]+/u), ...(tags ?? []).map((tag) => tag.toLowerCase())],
  }))
  .sort((one, other) => one.order - other.order);

export const groups: Group[] = messages.groups
  .filter(({ key }) => key !== COMPONENTS)
  .map(({ message, order }) => ({ name: message, emoji: entries.filter(({ group }) => group === order) }));

/** The emoji that have words which begin with all words of a query, the best ones first. */
export function search(query: string): Emoji[] {
  const wanted = query.toLowerCase().split(/[^\p{L}\p{N}]+/u).filter(Boolean).slice(0, 8);
  if (wanted.length === 0) return [];
  const found = entries.filter(({ words }) => wanted.every((part) => words.some((word) => word.startsWith(part))));
  const rank = ({ label, words }: Entry) =>
    label.toLowerCase().startsWith(wanted.join(" ")) ? 0 : wanted.every((part) => words.includes(part)) ? 1 : 2;
  return found.sort((one, other) => rank(one) - rank(other) || one.order - other.order).slice(0, MAX_FOUND);
}

const names = new Map(entries.map(({ unicode, label }) => [unicode, label]));

export const labelOf = (unicode: string): string => names.get(unicode) ?? unicode;
