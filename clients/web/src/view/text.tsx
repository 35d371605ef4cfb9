/** The text of a message: Markdown, links and mentions. Nothing in it becomes HTML; see `markdown.tsx`. */

import type { ComponentChildren } from "preact";
import { useMemo, useState } from "preact/hooks";

import { Lazy } from "../lazy.js";
import { linkFinder, withLinks } from "./links.js";

const markdown = new Lazy(() => import("./markdown.js"));

/** Most texts have none of these signs. They are shown without the parser, which is loaded for the first that has. */
const SIGNS = /[*_~`\\[]|^\s*(?:[>#+-]|\d+[.)])/m;
/** Of a longer text only the beginning is shown at first. */
const MAX_LENGTH = 5000;
const MAX_LINES = 60;
/** An even longer text is shown without Markdown and links. */
const MAX_PARSED = 20_000;

/** The names that a text mentions, and which of them is the reader's. */
export interface Mentions {
  names: readonly string[];
  self: string;
}

export function MessageText({ text, mentions }: { text: string; mentions: Mentions }) {
  const [isWhole, setWhole] = useState(false);
  const excess = text.length > MAX_LENGTH || lineEnd(text, MAX_LINES) < text.length;
  const shown = !excess || isWhole ? text : beginning(text);
  return (
    <>
      <Body text={shown} mentions={mentions} />
      {excess && (
        <button type="button" class="more" aria-expanded={isWhole} onClick={() => setWhole(!isWhole)}>
          {isWhole ? "Show less" : "Show all"}
        </button>
      )}
    </>
  );
}

function Body({ text, mentions }: { text: string; mentions: Mentions }) {
  const parser = text.length <= MAX_PARSED && SIGNS.test(text) ? markdown.value : undefined;
  const find = text.length <= MAX_PARSED ? linkFinder(text) : undefined;
  const names = mentions.names.join("\n");
  const content = useMemo(
    () => parser?.render(text, (part) => inline(part, mentions, find)),
    [parser, find, text, names, mentions.self],
  );
  const plain = useMemo(
    () => (content || text.length > MAX_PARSED ? null : inline(text, mentions, find)),
    [content, find, text, names, mentions.self],
  );
  if (content) return <>{content}</>;
  if (text.length > MAX_PARSED) {
    return (
      <p class="whole" dir="auto" tabIndex={0} role="region" aria-label="The whole message">
        {text}
      </p>
    );
  }
  return <p dir="auto">{plain}</p>;
}

/** A text with links and mentions, without Markdown. */
function inline(text: string, mentions: Mentions, find: ReturnType<typeof linkFinder>): ComponentChildren {
  return withLinks(text, find).map((part) => (typeof part === "string" ? withMentions(part, mentions) : part));
}

function withMentions(text: string, { names, self }: Mentions): ComponentChildren {
  if (names.length === 0 || !text.includes("@")) return text;
  const longestFirst = [...names].sort((one, other) => other.length - one.length);
  const parts: ComponentChildren[] = [];
  let position = 0;
  for (let at = text.indexOf("@"); at >= 0; at = text.indexOf("@", at + 1)) {
    // In the middle of a word, as in a mail address, it is none.
    if (/[\p{L}\p{N}_]$/u.test(text.slice(Math.max(0, at - 2), at))) continue;
    const name = longestFirst.find((one) => text.startsWith(one, at + 1));
    if (name === undefined) continue;
    parts.push(text.slice(position, at));
    parts.push(<bdi class={name === self ? "mention self" : "mention"}>@{name}</bdi>);
    position = at + 1 + name.length;
  }
  return [...parts, text.slice(position)];
}

function beginning(text: string): string {
  const end = Math.min(MAX_LENGTH, lineEnd(text, MAX_LINES));
  // Not half a character.
  return text.slice(0, end).replace(/[\ud800-\udbff]$/, "") + "…";
}

/** Where the last one of the first lines ends. */
function lineEnd(text: string, lines: number): number {
  let end = -1;
  for (let line = 0; line < lines; line += 1) {
    end = text.indexOf("\n", end + 1);
    if (end < 0) return text.length;
  }
  return end;
}
