/** The whole page. */

import { useEffect } from "preact/hooks";

import type { UploadQueue } from "../state/uploads.js";
import type { Chat } from "../state/session.js";
import { ConversationView } from "./conversation.js";
import { Nothing } from "./empty.js";
import { takeFiles } from "./files.js";
import { LoginView } from "./login.js";
import { Overlays } from "./overlays.js";
import { listenForShortcuts } from "./shortcuts.js";
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
  useEffect(() => {
    const onHash = () => chat.readPlace();
    window.addEventListener("hashchange", onHash);
    return () => window.removeEventListener("hashchange", onHash);
  }, []);
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
  useEffect(() => listenForShortcuts(chat), []);
  return (
    <div class={active ? "talk has-active" : "talk"}>
      <Sidebar chat={chat} />
      {active ? <ConversationView key={active.key} chat={chat} conversation={active} /> : <Nothing chat={chat} />}
      <Overlays chat={chat} />
    </div>
  );
}
