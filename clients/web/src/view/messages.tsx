/** The messages of a conversation, in a list that loads older ones as one scrolls back. */

import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

import type { Conversation } from "../state/conversation.js";
import type { Chat } from "../state/session.js";
import { count, dayText, isSameDay } from "../state/texts.js";
import type { Item } from "../state/timeline.js";
import { Icon } from "./icons.js";
import { Message } from "./message.js";
import { Note, Presence } from "./notes.js";
import { Toasts } from "./toasts.js";

/** Messages of one person within so many ms stand together. */
const GROUP_MS = 5 * 60_000;
/** Pixels from the end at which the newest messages count as seen, and from the beginning at which older ones load. */
const AT_END = 48;
const NEAR_START = 400;

export function MessageList({ chat, conversation }: { chat: Chat; conversation: Conversation }) {
  const box = useRef<HTMLDivElement>(null);
  /** The first message, and how far down it stood, before what is shown now. */
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
    if (!element) return; // an event that was on its way when the list went
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

  // A conversation that is opened shows where the unread messages begin, else the end.
  useLayoutEffect(() => {
    const mark = box.current!.querySelector(".divider");
    if (mark) mark.scrollIntoView({ block: "center" });
    else box.current!.scrollTop = box.current!.scrollHeight;
    anchor.current = { key: firstKey, top: textTop(box.current!, firstKey) };
    look();
  }, [conversation]);

  // Older messages above must not move what one looks at; newer ones below are followed.
  useLayoutEffect(() => {
    const element = box.current!;
    const before = anchor.current;
    if (before.key !== undefined && before.key !== firstKey) {
      element.scrollTop += textTop(element, before.key) - before.top;
    } else if (isAtEnd.current) element.scrollTop = element.scrollHeight;
    anchor.current = { key: firstKey, top: textTop(element, firstKey) };
    look();
  }, [items, hasOlder]);

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
        <Beginning conversation={conversation} isEmpty={!items.some((item) => item.kind === "message")} />
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

/** How far down the text of an item stands in the list, whatever part of the list is in view. */
function textTop(box: HTMLElement, key: string | undefined): number {
  const item = key === undefined ? null : box.querySelector(`[data-key="${key}"]`);
  const text = item?.querySelector("p") ?? item;
  return text ? text.getBoundingClientRect().top - box.getBoundingClientRect().top + box.scrollTop : 0;
}

function Beginning({ conversation, isEmpty }: { conversation: Conversation; isEmpty: boolean }) {
  const isClosed = conversation.closed.value !== null;
  // Older ones are for those who are in the room.
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
  if (conversation.isCut.value) return <p class="beginning">Older messages are not kept.</p>;
  if (isClosed && isEmpty) return null;
  return (
    <p class="beginning">
      {isEmpty ? <>Nothing was said in {name} yet. Say hello!</> : <>This is where {name} begins.</>}
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
          <span>New</span>
        </li>,
      );
    }
    before = item;
  });
  return made;
}

/** Whether the second message stands together with the first. */
function isGroup(one: Item | undefined, other: Item): boolean {
  return (
    one?.kind === "message" &&
    other.kind === "message" &&
    one.author === other.author &&
    other.timestamp - one.timestamp < GROUP_MS &&
    isSameDay(one.timestamp, other.timestamp)
  );
}
