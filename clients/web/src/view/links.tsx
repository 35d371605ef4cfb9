/** Links in messages. */

import { find } from "linkifyjs";
import type { JSX } from "preact";

/** Only these schemes: other addresses, such as `setup.py`, are more often words than links. */
const BEGINNING = /^(https?:\/\/|www\.)/i;
/** A quick check, because most texts do not contain an address. */
const HINT = /https?:|www\./i;
/** Punctuation of the sentence that linkify mistakes for a part of the address. */
const END = /[…。、，！？：；”’»*]+$/u;

/** A text whose web addresses are links. */
export function withLinks(text: string): (string | JSX.Element)[] {
  if (!HINT.test(text)) return [text];
  const parts: (string | JSX.Element)[] = [];
  let position = 0;
  for (const { value, href, start } of find(text, "url", { defaultProtocol: "https" })) {
    if (!BEGINNING.test(value)) continue;
    const excess = END.exec(value)?.[0].length ?? 0;
    const shown = value.slice(0, value.length - excess);
    parts.push(text.slice(position, start));
    parts.push(
      <a href={href.slice(0, href.length - excess)} target="_blank" rel="noopener noreferrer" dir="auto">
        {shown}
      </a>,
    );
    position = start + shown.length;
  }
  parts.push(text.slice(position));
  return parts;
}

/** Whether the text of a link looks like an address on another host than the one that it leads to. */
export function isMisleading(text: string, href: string): boolean {
  const shown = text.trim();
  if (!BEGINNING.test(shown)) return false;
  try {
    return new URL(shown.replace(/^www\./i, "https://www.")).host !== new URL(href).host;
  } catch {
    return true;
  }
}
