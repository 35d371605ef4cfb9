/** The whole page. */

import { useEffect } from "preact/hooks";

import type { UploadQueue } from "../state/uploads.js";
import type { Chat } from "../state/session.js";
import { ConversationView } from "./conversation.js";
import { Icon } from "./icons.js";
import { LoginView } from "./login.js";
import { takeFiles } from "./files.js";
import { Sidebar } from "./sidebar.js";

/** Where dropped and pasted files go: to the open room, unless a dialog covers it. */
function queueOf(chat: Chat): UploadQueue | null {
  const conversation = chat.active.value;
  const isOpen = conversation?.closed.value === null && chat.dialogs.value === 0;
  const queue = isOpen ? conversation.uploads : null;
  return queue?.limits.value ? queue : null;
}

export function App({ chat }: { chat: Chat }) {
  useEffect(() => takeFiles(() => queueOf(chat), (text) => chat.toast(text, true)), []);
  return (
    <>
      <Main chat={chat} />
      <p class="sr-only" aria-live="polite" role="status">
        {chat.announcement.value}
      </p>
    </>
  );
}

function Main({ chat }: { chat: Chat }) {
  if (chat.userName.value !== "") return <Talk chat={chat} />;
  if (!chat.isResuming.value) return <LoginView chat={chat} />;
  return (
    <main class="connecting">
      <h1>Connecting…</h1>
    </main>
  );
}

function Talk({ chat }: { chat: Chat }) {
  const active = chat.active.value;
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (!event.altKey || (event.key !== "ArrowDown" && event.key !== "ArrowUp")) return;
      event.preventDefault();
      step(chat, event.key === "ArrowDown" ? 1 : -1);
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);
  return (
    <div class={active ? "talk has-active" : "talk"}>
      <Sidebar chat={chat} />
      {active ? (
        <ConversationView key={active.key} chat={chat} conversation={active} />
      ) : (
        <main class="nothing">
          <Icon name="chat" />
          <h2>Choose a room</h2>
          <p>Messages sent while you are away will be waiting for you.</p>
        </main>
      )}
    </div>
  );
}

/** Alt and an arrow key: go to the next conversation in the list. */
function step(chat: Chat, by: number): void {
  const all = [...chat.conversations.value].sort((one, other) => other.kind.localeCompare(one.kind));
  const position = chat.active.value ? all.indexOf(chat.active.value) : -1;
  const next = all[(position + by + all.length) % all.length];
  if (next) chat.open(next);
}
