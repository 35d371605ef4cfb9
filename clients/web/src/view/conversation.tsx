/** The open conversation: its header, messages, composer, and people. */

import { useState } from "preact/hooks";

import type { Conversation } from "../state/conversation.js";
import { DirectConversation } from "../state/direct.js";
import { RoomConversation } from "../state/room.js";
import type { Chat } from "../state/session.js";
import { count, isolated } from "../state/texts.js";
import { Composer } from "./composer.js";
import { Icon } from "./icons.js";
import { MessageList } from "./messages.js";
import { Avatar, IconButton } from "./parts.js";
import { People } from "./people.js";
import { RoomSettings } from "./settings.js";

const isWide = () => matchMedia("(min-width: 68rem)").matches;

export function ConversationView({ chat, conversation }: { chat: Chat; conversation: Conversation }) {
  const [showsPeople, setShowsPeople] = useState(isWide());
  const [showsSettings, setShowsSettings] = useState(false);
  const room = conversation instanceof RoomConversation ? conversation : undefined;
  const closed = conversation.closed.value;
  const isHere = closed === null;
  const leave = () => void chat.attempt(chat.leave(conversation));
  return (
    <>
      <main class="conversation" aria-label={conversation.name}>
        <header>
          <IconButton icon="back" label="All conversations" class="only-narrow" onClick={() => chat.open(null)} />
          <Title conversation={conversation} />
          {conversation instanceof DirectConversation && <BlockButton chat={chat} direct={conversation} />}
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
        </header>
        <ConnectionBar chat={chat} />
        <MessageList chat={chat} conversation={conversation} />
        {room && <TypingLine names={room.typing.names.value} />}
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
              <button type="button" onClick={() => void chat.tryRoom(conversation.name)}>
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

function Title({ conversation }: { conversation: Conversation }) {
  if (conversation instanceof RoomConversation) {
    return (
      <div class="title">
        <Icon name={conversation.whitelistOnly.value ? "lock" : "hash"} />
        <span>
          <h1 dir="auto">{conversation.name}</h1>
          <span class="quiet">{whoIsHere(conversation)}</span>
        </span>
      </div>
    );
  }
  return (
    <div class="title">
      <Avatar name={conversation.name} />
      <span>
        <h1 dir="auto">{conversation.name}</h1>
        <span class="quiet">Direct messages</span>
      </span>
    </div>
  );
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
