/** Parts of a message: what it replies to, its reactions, and what has failed. */

import type { ReactionCount } from "@chat-service/client";

import { summary } from "../state/attachments.js";
import type { Conversation } from "../state/conversation.js";
import { revealMessage } from "../state/reveal.js";
import type { Chat } from "../state/session.js";
import { count } from "../state/texts.js";
import type { MessageItem } from "../state/timeline.js";

const QUOTED = 200;

/** The message that another one replies to, in short. A click goes there. */
export function Quote({ chat, conversation, id }: { chat: Chat; conversation: Conversation; id: number }) {
  const original = conversation.interactions?.original(id).value;
  if (original === null) return <span class="quote gone">The original message is no longer stored.</span>;
  const author = original?.author ?? "";
  return (
    <button
      type="button"
      class="quote"
      title="Go to the original message"
      onClick={() => void revealMessage(chat, conversation.name, id)}
    >
      <bdi class="who">{author || "…"}</bdi>
      <Excerpt item={original} />
    </button>
  );
}

/** The beginning of a message's text, in one line. */
export function Excerpt({ item }: { item: MessageItem | undefined }) {
  if (item?.isDeleted) return <em class="excerpt">Message deleted</em>;
  return (
    <span class="excerpt" dir="auto">
      {item && inShort(summary(item))}
    </span>
  );
}

/** The most frequent signs of Markdown, which one line does not need. */
const SIGNS = /\*\*|~~|`+|^\s*(?:#{1,6}|>)\s/gm;
const LINK = /\[([^\]]{1,200})\]\([^)]{1,200}\)/g;

function inShort(text: string): string {
  const begin = text.slice(0, 2 * QUOTED).replace(LINK, "$1").replace(SIGNS, "");
  return begin.replace(/\s+/g, " ").slice(0, QUOTED);
}

export function Reactions(props: { reactions: readonly ReactionCount[]; onToggle: (reaction: string) => void }) {
  return (
    <div class="reactions" role="group" aria-label="Reactions">
      {props.reactions.map(({ reaction, count: given, own }) => (
        <button
          key={reaction}
          type="button"
          aria-pressed={own}
          aria-label={`${reaction} ${count(given, "person", "people")}${own ? ", also you" : ""}`}
          title={own ? "Take your reaction back" : "React with the same"}
          onClick={() => props.onToggle(reaction)}
        >
          <bdi>{reaction}</bdi> {given}
        </button>
      ))}
    </div>
  );
}

/** A message that was not sent, or an edit that was refused. Nothing that was written is lost. */
export function Failure({ conversation, item }: { conversation: Conversation; item: MessageItem }) {
  if (item.refused) {
    const { text, error } = item.refused;
    return (
      <div class="failure" role="alert">
        <p>The change was not saved. {error}</p>
        <button type="button" onClick={() => conversation.edit(item, text)}>
          Edit again
        </button>
        <button type="button" onClick={() => conversation.interactions?.forgetRefused(item.id)}>
          Discard
        </button>
      </div>
    );
  }
  if (item.sending !== "failed") return null;
  return (
    <div class="failure" role="alert">
      <p>{item.error}</p>
      <button type="button" onClick={() => conversation.retry(item)}>
        Send again
      </button>
      <button type="button" onClick={() => conversation.discard(item.key)}>
        Discard
      </button>
    </div>
  );
}
