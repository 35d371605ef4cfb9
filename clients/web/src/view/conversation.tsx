/** The open conversation: its header, messages, composer, and people. */

import { useState } from "preact/hooks";

import type { Conversation } from "../state/conversation.js";
import { DirectConversation } from "../state/direct.js";
import { RoomConversation } from "../state/room.js";
import type { Chat } from "../state/session.js";
import { count, isolated } from "../state/texts.js";
import { Composer } from "./composer.js";
import { Icon } from "./icons.js";
import { copyInvitation } from "./invitation.js";
import { Menu, type MenuItem } from "./menu.js";
import { MessageList } from "./messages.js";
import { NameButton } from "./name.js";
import { Avatar, IconButton } from "./parts.js";
import { People } from "./people.js";
import { PresenceDot, Whereabouts } from "./presence.js";
import { RoomSettings } from "./settings.js";

const isWide = () => matchMedia("(min-width: 68rem)").matches;

export function ConversationView({ chat, conversation }: { chat: Chat; conversation: Conversation }) {
  const [showsPeople, setShowsPeople] = useState(isWide());
  const [showsSettings, setShowsSettings] = useState(false);
  const talk = conversation instanceof RoomConversation ? conversation : undefined;
  const direct = conversation instanceof DirectConversation ? conversation : undefined;
  const room = direct === undefined ? talk : undefined;
  const closed = conversation.closed.value;
  const isHere = closed === null;
  const leave = () => void chat.attempt(chat.leave(conversation));
  return (
    <>
      <main class="conversation" aria-label={conversation.name}>
        <header>
          <IconButton icon="back" label="All conversations" class="only-narrow" onClick={() => chat.open(null)} />
          <Title chat={chat} conversation={conversation} />
          <IconButton
            icon="search"
            label="Search in this conversation"
            class="only-wide"
            onClick={() => (chat.overlay.value = { kind: "search", query: "" })}
          />
          {direct && <BlockButton chat={chat} direct={direct} />}
          {room && isHere && (
            <>
              <IconButton
                icon="people"
                label="People"
                pressed={showsPeople}
                onClick={() => setShowsPeople(!showsPeople)}
              />
              <IconButton icon="settings" label="Room settings" onClick={() => setShowsSettings(true)} />
            </>
          )}
          <IconButton
            icon="leave"
            label={room ? "Leave the room" : "Close the conversation"}
            onClick={leave}
          />
          <More chat={chat} conversation={conversation} />
        </header>
        <ConnectionBar chat={chat} />
        <MessageList chat={chat} conversation={conversation} />
        {talk && <TypingLine names={talk.typing.names.value} />}
        {closed === null ? (
          <Composer chat={chat} conversation={conversation} isOffline={chat.connection.value !== "online"} />
        ) : (
          <div class="closed" role="status">
            <p>{closed.text}</p>
            {closed.again === null ? (
              <button type="button" onClick={leave}>
                Close
              </button>
            ) : (
              <button type="button" onClick={() => void (direct ? chat.attempt(direct.enter()) : chat.tryRoom(conversation.name))}>
                {closed.again}
              </button>
            )}
          </div>
        )}
      </main>
      {room && isHere && showsPeople && <People chat={chat} room={room} onClose={() => setShowsPeople(false)} />}
      {room && isHere && showsSettings && (
        <RoomSettings chat={chat} room={room} onClose={() => setShowsSettings(false)} />
      )}
    </>
  );
}

function Title({ chat, conversation }: { chat: Chat; conversation: Conversation }) {
  const { name } = conversation;
  if (conversation instanceof RoomConversation && conversation.kind === "room") {
    return (
      <div class="title">
        <Icon name={conversation.whitelistOnly.value ? "lock" : "hash"} />
        <span>
          <h1>
            <bdi>{name}</bdi>
          </h1>
          <span class="quiet">{whoIsHere(conversation)}</span>
        </span>
      </div>
    );
  }
  return (
    <div class="title">
      <PresenceDot chat={chat} name={name}>
        <Avatar name={name} />
      </PresenceDot>
      <span>
        <h1>
          <NameButton chat={chat} name={name} />
        </h1>
        <span class="quiet">
          <Whereabouts chat={chat} name={name} />
        </span>
      </span>
    </div>
  );
}

/** What is used less often. */
function More({ chat, conversation }: { chat: Chat; conversation: Conversation }) {
  const { preferences } = chat;
  const { key, name } = conversation;
  const isFavourite = preferences.favourites.value.has(key);
  const isMuted = preferences.muted.value.has(key);
  const items: MenuItem[] = [
    {
      icon: "search",
      label: "Search",
      onChoose: () => (chat.overlay.value = { kind: "search", query: "" }),
    },
    {
      icon: "star",
      label: "Favourite",
      checked: isFavourite,
      onChoose: () => preferences.setFavourite(key, !isFavourite),
    },
    { icon: "muted", label: "Mute", checked: isMuted, onChoose: () => preferences.setMuted(key, !isMuted) },
  ];
  if (conversation.kind === "room") {
    items.push({ icon: "link", label: "Copy invite link", onChoose: () => copyInvitation(chat, name) });
  } else {
    items.push({
      icon: "person",
      label: "Profile",
      onChoose: () => (chat.overlay.value = { kind: "profile", name }),
    });
  }
  return <Menu icon="more" label="More" items={items} />;
}

/** Always there, so that nothing moves when somebody begins to type. Not read aloud, because it changes too often. */
function TypingLine({ names }: { names: readonly string[] }) {
  const [one, other] = names;
  return (
    <p class="typing">
      {names.length === 1 && (
        <>
          <bdi>{one}</bdi> is typing…
        </>
      )}
      {names.length === 2 && (
        <>
          <bdi>{one}</bdi> and <bdi>{other}</bdi> are typing…
        </>
      )}
      {names.length > 2 && `${names.length} people are typing…`}
    </p>
  );
}

function whoIsHere(room: RoomConversation): string {
  if (room.closed.value) return "You are not in this room";
  // Users count themselves, so an empty list means that it is not known yet.
  const people = room.members.value.size;
  return people === 0 ? "Joining…" : `${count(people, "person", "people")} here`;
}

function BlockButton({ chat, direct }: { chat: Chat; direct: DirectConversation }) {
  const isBlocked = direct.isBlocked.value;
  const toggle = async () => {
    await direct.setBlocked(!isBlocked);
    const name = isolated(direct.name);
    chat.toast(isBlocked ? `${name} may write to you again.` : `${name} can no longer write to you.`);
  };
  return (
    <IconButton
      icon="block"
      label={`Block ${direct.name}`}
      pressed={isBlocked}
      onClick={() => void chat.attempt(toggle())}
    />
  );
}

function ConnectionBar({ chat }: { chat: Chat }) {
  const state = chat.connection.value;
  if (state === "online" || state === "idle") return null;
  const isClosed = state === "closed";
  return (
    <div class="connection-bar" role="status">
      <span class="dot" aria-hidden="true" />
      <p>
        {isClosed
          ? "The server closed the connection."
          : "You are offline. Messages that you write now are sent when the connection is back."}
      </p>
      <button type="button" onClick={() => chat.retryConnection()}>
        {isClosed ? "Reconnect" : "Try now"}
      </button>
    </div>
  );
}
