/** The messages of a conversation, in a list that loads older ones on scrolling back. */

import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

import type { Conversation } from "../state/conversation.js";
import type { Chat } from "../state/session.js";
import { count, dayText, isSameDay } from "../state/texts.js";
import type { Item } from "../state/timeline.js";
import { EmptyRoom } from "./empty.js";
import { Icon } from "./icons.js";
import { Message } from "./message.js";
import { Note, Presence } from "./notes.js";
import { Toasts } from "./toasts.js";

/** Messages of one person within this number of ms are grouped. */
const GROUP_MS = 5 * 60_000;
/** Distance in pixels: from the end for messages to count as seen, and from the beginning to load older ones. */
const AT_END = 48;
const NEAR_START = 400;

export function MessageList({ chat, conversation }: { chat: Chat; conversation: Conversation }) {
  const box = useRef<HTMLDivElement>(null);
  /** The first message, and its position before the current change. */
  const anchor = useRef<{ key: string | undefined; top: number }>({ key: undefined, top: 0 });
  const isAtEnd = useRef(true);
  const [missed, setMissed] = useState<number | null>(null);
  const items = conversation.timeline.value;
  const firstKey = items[0]?.key;
  const hasOlder = conversation.hasOlder.value;
  const divider = conversation.divider.value;

  const read = () => {
    if (isAtEnd.current && document.visibilityState === "visible") conversation.markRead();
  };
  const look = () => {
    const element = box.current;
    if (!element) return; // an event that was pending when the list was removed
    isAtEnd.current = element.scrollHeight - element.scrollTop - element.clientHeight < AT_END;
    if (isAtEnd.current) setMissed(null);
    else setMissed((before) => before ?? 0);
    if (element.scrollTop < NEAR_START && conversation.hasOlder.peek()) void conversation.loadOlder();
    read();
  };
  const toEnd = () => {
    const element = box.current;
    if (!element) return;
    element.scrollTop = element.scrollHeight;
    look();
  };

  // An opened conversation shows the first unread message, or the end.
  useLayoutEffect(() => {
    const mark = box.current!.querySelector(".divider");
    if (mark) mark.scrollIntoView({ block: "center" });
    else box.current!.scrollTop = box.current!.scrollHeight;
    anchor.current = { key: firstKey, top: textTop(box.current!, firstKey) };
    look();
  }, [conversation]);

  // Older messages above must not move the visible ones; newer ones below are followed.
  useLayoutEffect(() => {
    const element = box.current!;
    const before = anchor.current;
    if (before.key !== undefined && before.key !== firstKey) {
      element.scrollTop += textTop(element, before.key) - before.top;
    } else if (isAtEnd.current) element.scrollTop = element.scrollHeight;
    anchor.current = { key: firstKey, top: textTop(element, firstKey) };
    look();
  }, [items, hasOlder]);

  // A message that was searched for, or that a link leads to.
  const target = conversation.target.value;
  useEffect(() => {
    if (target === null) return;
    const found = box.current!.querySelector<HTMLElement>(`[data-key="${target}"]`);
    found?.scrollIntoView({ block: "center" });
    conversation.target.value = null;
  }, [target]);

  const newest = items.at(-1);
  useEffect(() => {
    const isOwn = newest?.kind === "message" && newest.author === chat.userName.peek();
    if (isOwn && newest.sending) toEnd();
    else if (!isAtEnd.current && newest?.kind === "message") setMissed((before) => (before ?? 0) + 1);
  }, [newest?.key]);

  useEffect(() => {
    const element = box.current!;
    const resized = new ResizeObserver(() => {
      if (isAtEnd.current) element.scrollTop = element.scrollHeight;
    });
    resized.observe(element);
    document.addEventListener("visibilitychange", read);
    return () => {
      resized.disconnect();
      document.removeEventListener("visibilitychange", read);
    };
  }, [conversation]);

  return (
    <div class="messages-area">
      <Toasts chat={chat} />
      <div class="messages" ref={box} onScroll={look} tabIndex={0} role="log" aria-live="off" aria-label="Messages">
        <Beginning chat={chat} conversation={conversation} isEmpty={!items.some((item) => item.kind === "message")} />
        <ol>{rows(items, chat, conversation, divider)}</ol>
      </div>
      {missed !== null && (
        <button type="button" class="to-end" onClick={toEnd}>
          <Icon name="down" />
          {missed > 0 ? count(missed, "new message") : "Newest messages"}
        </button>
      )}
    </div>
  );
}

/** The position of an item's text in the list, whichever part of the list is in view. */
function textTop(box: HTMLElement, key: string | undefined): number {
  const item = key === undefined ? null : box.querySelector(`[data-key="${key}"]`);
  const text = item?.querySelector("p") ?? item;
  return text ? text.getBoundingClientRect().top - box.getBoundingClientRect().top + box.scrollTop : 0;
}

function Beginning({ chat, conversation, isEmpty }: { chat: Chat; conversation: Conversation; isEmpty: boolean }) {
  const isClosed = conversation.closed.value !== null;
  // Only people in the room can load older messages.
  if (conversation.hasOlder.value) return isClosed ? null : <p class="beginning loading">Loading older messages…</p>;
  const name = <bdi>{conversation.name}</bdi>;
  if (conversation.kind === "direct") {
    return (
      <p class="beginning">
        {isEmpty ? <>Write the first message to {name}.</> : <>Your conversation with {name}.</>} It is stored nowhere but
        in this tab.
      </p>
    );
  }
  if (conversation.isCut.value) return <p class="beginning">Older messages are no longer stored.</p>;
  if (isClosed && isEmpty) return null;
  return (
    <p class="beginning">
      {isEmpty ? <EmptyRoom chat={chat} conversation={conversation} /> : <>This is where {name} begins.</>}
    </p>
  );
}

function rows(items: Item[], chat: Chat, conversation: Conversation, divider: string | null): JSX.Element[] {
  const made: JSX.Element[] = [];
  let before: Item | undefined;
  items.forEach((item, index) => {
    if (!before || !isSameDay(before.timestamp, item.timestamp)) {
      made.push(
        <li key={`day-${item.key}`} class="day">
          <span>{dayText(item.timestamp)}</span>
        </li>,
      );
    }
    if (item.kind === "note") {
      made.push(<Note key={item.key} item={item} />);
    } else if (item.kind === "presence") {
      made.push(<Presence key={item.key} item={item} />);
    } else {
      const next = items[index + 1];
      made.push(
        <Message
          key={item.key}
          chat={chat}
          conversation={conversation}
          item={item}
          isFirst={!isGroup(before, item) || before?.key === divider}
          isLast={!next || !isGroup(item, next) || item.key === divider}
        />,
      );
    }
    if (item.key === divider && index < items.length - 1) {
      made.push(
        <li key="divider" class="divider">
          <span>New messages</span>
        </li>,
      );
    }
    before = item;
  });
  return made;
}

/** Whether the second message is grouped with the first. */
function isGroup(one: Item | undefined, other: Item): boolean {
  return (
    one?.kind === "message" &&
    other.kind === "message" &&
    one.author === other.author &&
    other.timestamp - one.timestamp < GROUP_MS &&
    isSameDay(one.timestamp, other.timestamp)
  );
}
