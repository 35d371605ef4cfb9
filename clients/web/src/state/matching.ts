/** Finding words in texts, without regard to case, accents and width. */

import type { MessageItem } from "./timeline.js";

/** The maximum number of words of a query that count. */
const MAX_TERMS = 16;

const MARKS = /\p{Mn}/gu;

const folded = (text: string): string => text.normalize("NFKD").replace(MARKS, "").toLowerCase();

/** The words to look for; empty if there is nothing to look for. */
export const terms = (query: string): string[] => folded(query).split(/\s+/).filter(Boolean).slice(0, MAX_TERMS);

/** Folded texts by message, because each keystroke looks at all messages again. An edited message is another object. */
const cache = new WeakMap<MessageItem, string>();

/** Whether a message contains all words, in any order. */
export function contains(item: MessageItem, words: readonly string[]): boolean {
  if (item.isDeleted) return false;
  let text = cache.get(item);
  if (text === undefined) cache.set(item, (text = folded(item.text)));
  return words.every((word) => text.includes(word));
}

/** A part of a text, and whether it is one of the words. */
export interface Part {
  text: string;
  isMatch: boolean;
}

/** A text of at most `length` characters around the first of the words, in parts. */
export function excerpt(text: string, words: readonly string[], length = 160): Part[] {
  const characters = [...text.replace(/\s+/g, " ")];
  const marked = marks(characters, words);
  const first = Math.max(0, marked.indexOf(true));
  const begin = characters.length <= length ? 0 : Math.max(0, Math.min(first - 40, characters.length - length));
  const end = Math.min(characters.length, begin + length);
  const parts: Part[] = [];
  for (let position = begin; position < end; position++) {
    const isMatch = marked[position]!;
    const last = parts.at(-1);
    if (last && last.isMatch === isMatch) last.text += characters[position];
    else parts.push({ text: characters[position]!, isMatch });
  }
  if (begin > 0) parts.unshift({ text: "…", isMatch: false });
  if (end < characters.length) parts.push({ text: "…", isMatch: false });
  return parts;
}

/** For each character whether it is a part of one of the words. */
function marks(characters: readonly string[], words: readonly string[]): boolean[] {
  // Folding may change the number of characters, so that positions in the folded text are mapped back.
  const origin: number[] = [];
  let text = "";
  characters.forEach((character, index) => {
    const fold = folded(character);
    text += fold;
    for (let unit = 0; unit < fold.length; unit++) origin.push(index);
  });
  const marked = characters.map(() => false);
  for (const word of words) {
    for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + word.length)) {
      for (let unit = at; unit < at + word.length; unit++) marked[origin[unit]!] = true;
    }
  }
  return marked;
}
