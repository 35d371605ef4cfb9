/** Links in messages. The library that finds them is loaded for the first text that may have one. */

import type { JSX } from "preact";

import { Lazy } from "../lazy.js";

const linkify = new Lazy(() => import("linkifyjs"));

/** Only these schemes: other addresses, such as `setup.py`, are more often words than links. */
const BEGINNING = /^(https?:\/\/|www\.)/i;
/** A quick check, because most texts do not contain an address. */
const HINT = /https?:|www\./i;
/** Punctuation of the sentence that linkify mistakes for a part of the address. */
const END = /[…。、，！？：；”’»*]+$/u;

type Find = typeof import("linkifyjs").find;

/** What finds the links in a text; undefined if it has none, or if the library is not there yet. */
export function linkFinder(text: string): Find | undefined {
  return HINT.test(text) ? linkify.value?.find : undefined;
}

/** A text whose web addresses are links. */
export function withLinks(text: string, find: Find | undefined): (string | JSX.Element)[] {
  if (find === undefined || !HINT.test(text)) return [text];
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
