/** One message. */

import { useMemo } from "preact/hooks";

import type { Conversation } from "../state/conversation.js";
import type { Chat } from "../state/session.js";
import { direction, fullTimeText, timeText } from "../state/texts.js";
import type { MessageItem } from "../state/timeline.js";
import { withLinks } from "./links.js";
import { NameButton } from "./name.js";
import { Avatar, hue } from "./parts.js";

interface MessageProps {
  chat: Chat;
  conversation: Conversation;
  item: MessageItem;
  isFirst: boolean;
  isLast: boolean;
}

export function Message({ chat, conversation, item, isFirst, isLast }: MessageProps) {
  const text = useMemo(() => withLinks(item.text), [item.text]);
  const isOwn = item.author === chat.userName.value;
  const classes = ["message", isOwn ? "own" : "other", isFirst && "first", isLast && "last", item.sending];
  return (
    <li class={classes.filter(Boolean).join(" ")} data-key={item.key} style={{ "--hue": String(hue(item.author)) }}>
      {!isOwn && isLast && <Avatar name={item.author} />}
      {/* The bubble has the direction of the text, which decides where lines begin and where the time is shown. */}
      <div class="bubble" dir={direction(item.text)}>
        {isFirst &&
          (isOwn ? (
            <span class="sr-only">You</span>
          ) : (
            <NameButton chat={chat} name={item.author} class="author" />
          ))}
        <p dir="auto">{text}</p>
        {isLast && !item.sending && (
          <time dateTime={new Date(item.timestamp).toISOString()} title={fullTimeText(item.timestamp)} dir="ltr">
            {timeText(item.timestamp)}
          </time>
        )}
        {item.sending === "waiting" && <span class="sending" dir="ltr">Sending…</span>}
      </div>
      {item.sending === "failed" && (
        <div class="failure" role="alert">
          <p>{item.error}</p>
          <button type="button" onClick={() => conversation.retry(item)}>
            Send again
          </button>
          <button type="button" onClick={() => conversation.discard(item.key)}>
            Discard
          </button>
        </div>
      )}
    </li>
  );
}
