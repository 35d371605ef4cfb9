/** The messages of a conversation, in a list that loads older ones on scrolling back. */

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";

import type { Conversation } from "../state/conversation.js";
import type { Chat } from "../state/session.js";
import { count, dayText } from "../state/texts.js";
import { EmptyRoom } from "./empty.js";
import { Icon } from "./icons.js";
import { Message } from "./message.js";
import { Note, Presence } from "./notes.js";
import { Place } from "./place.js";
import { DIVIDER, probableHeight, Rows, type Row } from "./rows.js";
import { Toasts } from "./toasts.js";
import { Space, useWindow } from "./window.js";

/** Distance in pixels from the beginning to load older messages. */
const NEAR_START = 400;
/** Rows that are kept ready on each side: about as many as are in view. */
const AROUND = 16;
/** For how long a message is marked to which somebody has jumped, in ms. */
const MARK_MS = 2500;

interface ListProps {
  chat: Chat;
  conversation: Conversation;
}

export function MessageList({ chat, conversation }: ListProps) {
  // A room that was joined again is another conversation of the same name.
  const shown = useRef({ conversation, number: 0 });
  if (shown.current.conversation !== conversation) shown.current = { conversation, number: shown.current.number + 1 };
  return <List key={shown.current.number} chat={chat} conversation={conversation} />;
}

function List({ chat, conversation }: ListProps) {
  const box = useRef<HTMLDivElement>(null);
  const list = useRef<HTMLOListElement>(null);
  const width = useRef(0);
  const [missed, setMissed] = useState<number | null>(null);
  const items = conversation.timeline.value;
  const hasOlder = conversation.hasOlder.value;
  const target = conversation.target.value;
  const made = useMemo(() => new Rows(), []);
  const rows = made.of(items, conversation.divider.value);
  const keyOf = useMemo(() => (index: number) => rows[index]!.key, [rows]);
  const estimate = (index: number) => probableHeight(rows[index]!, width.current);
  const options = { count: rows.length, keyOf, estimate, around: AROUND, isPart: hasOlder };
  const view = useWindow(box, list, options);
  // An opened conversation shows the first unread message, or the end.
  const place = useMemo(() => new Place(view, rows.some((row) => row.kind === "divider") ? DIVIDER : null), []);
  if (target !== null && rows.some((row) => row.key === target)) place.toRow(target);
  place.aim(options);
  view.onHeights = () => void (box.current && place.restore(box.current));

  const read = () => {
    if (place.isAtEnd && document.visibilityState === "visible") conversation.markRead();
  };
  const look = () => {
    const element = box.current;
    if (!element) return; // an event that was pending when the list was removed
    place.remember(element);
    if (place.isAtEnd) setMissed(null);
    else setMissed((before) => before ?? 0);
    if (element.scrollTop < NEAR_START && conversation.hasOlder.peek()) void conversation.loadOlder();
    read();
  };
  const toEnd = () => {
    place.toEnd();
    view.refresh();
  };

  // Nothing that is seen moves when something above or below it changes. The end is followed.
  useLayoutEffect(() => {
    width.current = box.current!.clientWidth;
    const isSettled = view.commit();
    place.restore(box.current!);
    if (isSettled) look();
  });

  // Somebody has jumped to a message: mark it, and let a keyboard or screen reader go on from there.
  useEffect(() => {
    if (target === null) return;
    conversation.target.value = null;
    const row = view.elementOf(target);
    if (row === undefined) return;
    row.focus({ preventScroll: true });
    row.dataset.isTarget = "";
    setTimeout(() => delete row.dataset.isTarget, MARK_MS);
  }, [target]);

  const newest = items.at(-1);
  const known = useRef(newest?.key);
  useEffect(() => {
    if (newest?.key === known.current) return;
    known.current = newest?.key;
    const isOwn = newest?.kind === "message" && newest.author === chat.userName.peek();
    if (isOwn && newest.sending) toEnd();
    else if (!place.isAtEnd && newest?.kind === "message") setMissed((before) => (before ?? 0) + 1);
  }, [newest?.key]);

  useEffect(() => {
    const element = box.current!;
    const resized = new ResizeObserver(() => place.restore(element));
    resized.observe(element);
    document.addEventListener("visibilitychange", read);
    return () => {
      resized.disconnect();
      document.removeEventListener("visibilitychange", read);
    };
  }, []);

  return (
    <div class="messages-area">
      <Toasts chat={chat} />
      <div class="messages" ref={box} onScroll={look} tabIndex={0} role="log" aria-live="off" aria-label="Messages">
        <Beginning chat={chat} conversation={conversation} isEmpty={!items.some((item) => item.kind === "message")} />
        <ol ref={list}>
          {view.parts().map((part) =>
            "space" in part ? (
              <Space key={part.key} height={part.space} />
            ) : (
              <RowView key={rows[part.index]!.key} chat={chat} conversation={conversation} row={rows[part.index]!} />
            ),
          )}
        </ol>
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

function RowView({ chat, conversation, row }: ListProps & { row: Row }) {
  switch (row.kind) {
    case "day":
      return (
        <li class="day">
          <span>{dayText(row.timestamp)}</span>
        </li>
      );
    case "divider":
      return (
        <li class="divider">
          <span>New messages</span>
        </li>
      );
    case "note":
      return <Note item={row.item} />;
    case "presence":
      return <Presence item={row.item} />;
    case "message": {
      const { item, isFirst, isLast } = row;
      return <Message chat={chat} conversation={conversation} item={item} isFirst={isFirst} isLast={isLast} />;
    }
  }
}

function Beginning({ chat, conversation, isEmpty }: { chat: Chat; conversation: Conversation; isEmpty: boolean }) {
  const isClosed = conversation.closed.value !== null;
  // Only people in the room can load older messages.
  if (conversation.hasOlder.value) return isClosed ? null : <p class="beginning loading">Loading older messages…</p>;
  const name = <bdi>{conversation.name}</bdi>;
  if (conversation.isCut.value) return <p class="beginning">Older messages are no longer stored.</p>;
  if (isClosed && isEmpty) return null;
  if (conversation.kind === "direct") {
    return (
      <p class="beginning">
        {isEmpty ? <>Write the first message to {name}.</> : <>This is where your conversation with {name} begins.</>}
      </p>
    );
  }
  return (
    <p class="beginning">
      {isEmpty ? <EmptyRoom chat={chat} conversation={conversation} /> : <>This is where {name} begins.</>}
    </p>
  );
}
