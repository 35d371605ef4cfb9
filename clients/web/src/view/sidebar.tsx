/** The list of rooms and people to talk to. */

import { useMemo, useRef, useState } from "preact/hooks";

import type { Conversation } from "../state/conversation.js";
import type { Chat } from "../state/session.js";
import { SortedNames } from "../state/sorted.js";
import { badge, count } from "../state/texts.js";
import { CreateRoomDialog, NewDirectDialog, PreferencesDialog } from "./dialogs.js";
import { Icon } from "./icons.js";
import { LongList, useChoice } from "./long-list.js";
import { Avatar, IconButton } from "./parts.js";
import { PresenceDot } from "./presence.js";
import { FIND_KEYS } from "./shortcuts.js";
import { Toasts } from "./toasts.js";

type OpenDialog = "create" | "direct" | "preferences" | null;

export function Sidebar({ chat }: { chat: Chat }) {
  const [dialog, setDialog] = useState<OpenDialog>(null);
  const close = () => setDialog(null);
  const mine = chat.conversations.value;
  const { favourites } = chat.preferences;
  const preferred = mine.filter((one) => favourites.value.has(one.key));
  const rest = mine.filter((one) => !favourites.value.has(one.key));
  const rooms = rest.filter((one) => one.kind === "room");
  const directs = rest.filter((one) => one.kind === "direct");
  const joined = new Set(mine.filter((one) => one.kind === "room").map((room) => room.name));
  const box = useRef<HTMLElement>(null);
  const directory = chat.directory.value;
  const sorted = useMemo(() => new SortedNames(), []);
  const others = sorted.of([...directory.keys()].filter((name) => !joined.has(name)));
  const own = useOwn(rooms, "your rooms");
  const talks = useOwn(directs, "direct messages");
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
      <FindButton chat={chat} />
      {!chat.active.value && <Toasts chat={chat} />}
      <nav aria-label="Rooms and direct messages" ref={box}>
        {preferred.length > 0 && (
          <>
            <h2 id="favourites">Favourites</h2>
            <ul aria-labelledby="favourites">
              {preferred.map((one) => (
                <ConversationRow key={one.key} chat={chat} conversation={one} />
              ))}
            </ul>
          </>
        )}
        <h2 id="my-rooms">Your rooms</h2>
        {joined.size === 0 && <NoRooms hasOthers={others.length > 0} />}
        <OwnList chat={chat} own={own} box={box} labelledBy="my-rooms" />
        <div class="heading">
          <h2 id="directs">Direct messages</h2>
          <IconButton icon="plus" label="New direct message" onClick={() => setDialog("direct")} />
        </div>
        {!mine.some((one) => one.kind === "direct") && <NoDirects />}
        <OwnList chat={chat} own={talks} box={box} labelledBy="directs" />
        {others.length > 0 && (
          <>
            <h2 id="other-rooms">Other rooms</h2>
            {controls}
            <LongList
              box={box}
              names={chosen}
              height={38}
              labelledBy="other-rooms"
              row={(name) => <OtherRoom key={name} chat={chat} name={name} />}
            />
          </>
        )}
      </nav>
      <footer>
        <button type="button" class="me" onClick={() => setDialog("preferences")}>
          <Avatar name={chat.userName.value} />
          <span>
            <strong>
              <bdi>{chat.userName.value}</bdi>
            </strong>
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

/** The conversations of one kind, with a search and an order where there are many. */
function useOwn(conversations: Conversation[], what: string) {
  const byName = new Map(conversations.map((one) => [one.name, one]));
  const sorted = useMemo(() => new SortedNames(), []);
  const { chosen, controls } = useChoice(sorted.of(byName.keys()), `Find in ${what}`, {
    of: what,
    label: "Newest first",
    numberOf: (name) => byName.get(name)?.newest ?? 0,
  });
  return { byName, chosen, controls };
}

interface OwnListProps {
  chat: Chat;
  own: ReturnType<typeof useOwn>;
  box: { current: HTMLElement | null };
  labelledBy: string;
}

function OwnList({ chat, own, box, labelledBy }: OwnListProps) {
  const row = (name: string) => {
    const conversation = own.byName.get(name)!;
    return <ConversationRow key={conversation.key} chat={chat} conversation={conversation} />;
  };
  if (!own.controls) return <ul aria-labelledby={labelledBy}>{own.chosen.map(row)}</ul>;
  return (
    <>
      {own.controls}
      <LongList box={box} names={own.chosen} height={38} labelledBy={labelledBy} row={row} />
    </>
  );
}

function FindButton({ chat }: { chat: Chat }) {
  return (
    <button type="button" class="find" onClick={() => (chat.overlay.value = { kind: "palette" })}>
      <Icon name="search" />
      <span>Find rooms, people, messages</span>
      <span class="shortcut" aria-hidden="true">
        {FIND_KEYS.join(" ")}
      </span>
    </button>
  );
}

function NoRooms({ hasOthers }: { hasOthers: boolean }) {
  return (
    <p class="empty">
      A room keeps what is said while you are away. {hasOthers ? "Join one below, or create one with +." : "Create one with +."}
    </p>
  );
}

function NoDirects() {
  return <p class="empty">Click on the name of a person to write to them alone.</p>;
}

function ConnectionText({ chat }: { chat: Chat }) {
  const isOnline = chat.connection.value === "online";
  return <span class={isOnline ? "online" : "offline"}>{isOnline ? "Online" : "Offline"}</span>;
}

function ConversationRow({ chat, conversation }: { chat: Chat; conversation: Conversation }) {
  const isActive = chat.active.value === conversation;
  const unread = isActive ? 0 : conversation.unread.value;
  const entry = conversation.kind === "room" ? chat.directory.value.get(conversation.name) : undefined;
  const isMuted = chat.preferences.muted.value.has(conversation.key);
  const classes = [
    "row",
    unread > 0 && !isMuted && "has-unread",
    isMuted && "is-muted",
    conversation.closed.value !== null && "is-closed",
  ];
  return (
    <li>
      <button
        type="button"
        class={classes.filter(Boolean).join(" ")}
        aria-current={isActive ? "true" : undefined}
        onClick={() => chat.open(conversation)}
      >
        {conversation.kind === "direct" ? (
          <PresenceDot chat={chat} name={conversation.name}>
            <Avatar name={conversation.name} />
          </PresenceDot>
        ) : (
          <Icon name={entry?.whitelistOnly ? "lock" : "hash"} />
        )}
        <span class="name">
          <bdi>{conversation.name}</bdi>
        </span>
        {isMuted && (
          <>
            <Icon name="muted" />
            <span class="sr-only">, muted</span>
          </>
        )}
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

function OtherRoom({ chat, name }: { chat: Chat; name: string }) {
  const room = chat.directory.value.get(name);
  if (room === undefined) return null; // it was deleted, and the list is about to change
  return (
    <li>
      <button
        type="button"
        class="row other"
        onClick={() => void chat.tryRoom(room.name)}
      >
        <Icon name={room.whitelistOnly ? "lock" : "hash"} />
        <span class="name">
          <bdi>{room.name}</bdi>
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
