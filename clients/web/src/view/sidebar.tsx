/** The list of rooms and people to talk to. */

import { useMemo, useRef, useState } from "preact/hooks";

import type { Conversation } from "../state/conversation.js";
import type { RoomEntry } from "../state/host.js";
import type { Chat } from "../state/session.js";
import { SortedNames } from "../state/sorted.js";
import { badge, count } from "../state/texts.js";
import { CreateRoomDialog, NewDirectDialog, PreferencesDialog } from "./dialogs.js";
import { Icon } from "./icons.js";
import { LongList, useChoice } from "./long-list.js";
import { Avatar, IconButton } from "./parts.js";
import { Toasts } from "./toasts.js";

type OpenDialog = "create" | "direct" | "preferences" | null;

export function Sidebar({ chat }: { chat: Chat }) {
  const [dialog, setDialog] = useState<OpenDialog>(null);
  const close = () => setDialog(null);
  const mine = chat.conversations.value;
  const rooms = mine.filter((one) => one.kind === "room");
  const directs = mine.filter((one) => one.kind === "direct");
  const joined = new Set(rooms.map((room) => room.name));
  const box = useRef<HTMLElement>(null);
  const directory = chat.directory.value;
  const sorted = useMemo(() => new SortedNames(), []);
  const others = sorted.of([...directory.keys()].filter((name) => !joined.has(name)));
  const { chosen, controls } = useChoice(others, "Find a room", {
    label: "Most people first",
    numberOf: (name) => directory.get(name)?.members ?? 0,
  });
  return (
    <aside class="sidebar" aria-label="Conversations">
      <header class="brand">
        <span class="logo">
          <Icon name="chat" />
        </span>
        <h1>Chat</h1>
        <IconButton icon="plus" label="Create a room" onClick={() => setDialog("create")} />
      </header>
      {!chat.active.value && <Toasts chat={chat} />}
      <nav aria-label="Rooms and direct messages" ref={box}>
        <h2 id="my-rooms">Your rooms</h2>
        {rooms.length === 0 && <p class="empty">Join a room below, or create one.</p>}
        <ul aria-labelledby="my-rooms">
          {rooms.map((room) => (
            <ConversationRow key={room.key} chat={chat} conversation={room} />
          ))}
        </ul>
        <div class="heading">
          <h2 id="directs">Direct messages</h2>
          <IconButton icon="plus" label="New direct message" onClick={() => setDialog("direct")} />
        </div>
        <ul aria-labelledby="directs">
          {directs.map((direct) => (
            <ConversationRow key={direct.key} chat={chat} conversation={direct} />
          ))}
        </ul>
        {others.length > 0 && (
          <>
            <h2 id="other-rooms">Other rooms</h2>
            {controls}
            <LongList
              box={box}
              names={chosen}
              height={38}
              labelledBy="other-rooms"
              row={(name) => <OtherRoom key={name} chat={chat} room={directory.get(name)!} />}
            />
          </>
        )}
      </nav>
      <footer>
        <button type="button" class="me" onClick={() => setDialog("preferences")}>
          <Avatar name={chat.userName.value} />
          <span>
            <strong dir="auto">{chat.userName.value}</strong>
            <ConnectionText chat={chat} />
          </span>
          <Icon name="settings" />
          <span class="sr-only">Your settings</span>
        </button>
      </footer>
      {dialog === "create" && <CreateRoomDialog chat={chat} onClose={close} />}
      {dialog === "direct" && <NewDirectDialog chat={chat} onClose={close} />}
      {dialog === "preferences" && <PreferencesDialog chat={chat} onClose={close} />}
    </aside>
  );
}

function ConnectionText({ chat }: { chat: Chat }) {
  const isOnline = chat.connection.value === "online";
  return <span class={isOnline ? "online" : "offline"}>{isOnline ? "Online" : "Offline"}</span>;
}

function ConversationRow({ chat, conversation }: { chat: Chat; conversation: Conversation }) {
  const isActive = chat.active.value === conversation;
  const unread = isActive ? 0 : conversation.unread.value;
  const entry = conversation.kind === "room" ? chat.directory.value.get(conversation.name) : undefined;
  const classes = ["row", unread > 0 && "has-unread", conversation.closed.value !== null && "is-closed"];
  return (
    <li>
      <button
        type="button"
        class={classes.filter(Boolean).join(" ")}
        aria-current={isActive ? "true" : undefined}
        onClick={() => chat.open(conversation)}
      >
        {conversation.kind === "direct" ? (
          <Avatar name={conversation.name} />
        ) : (
          <Icon name={entry?.whitelistOnly ? "lock" : "hash"} />
        )}
        <span class="name" dir="auto">
          {conversation.name}
        </span>
        {unread > 0 && (
          <span class="badge">
            {badge(unread)}
            <span class="sr-only"> unread</span>
          </span>
        )}
      </button>
    </li>
  );
}

function OtherRoom({ chat, room }: { chat: Chat; room: RoomEntry }) {
  return (
    <li>
      <button
        type="button"
        class="row other"
        onClick={() => void chat.tryRoom(room.name)}
      >
        <Icon name={room.whitelistOnly ? "lock" : "hash"} />
        <span class="name" dir="auto">
          {room.name}
        </span>
        {room.whitelistOnly && <span class="sr-only">, for invited people only</span>}
        <span class="members" title={count(room.members, "person is here", "people are here")}>
          {room.members}
          <span class="sr-only"> {room.members === 1 ? "person is" : "people are"} here. Join</span>
        </span>
      </button>
    </li>
  );
}
