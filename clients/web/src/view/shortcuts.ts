/** The keyboard shortcuts of the page. Those of a part of it, such as the composer, are listed here, too. */

import { tinykeys } from "tinykeys";

import { listed } from "../state/order.js";
import type { Chat } from "../state/session.js";

interface Shortcut {
  /** As tinykeys writes them; none for keys that a part of the page handles itself. */
  bindings: string[];
  /** As they are shown: alternatives of keys that are pressed together. */
  keys: string[][];
  text: string;
  /** Also while the user writes. */
  isGlobal?: boolean;
  run?: (chat: Chat) => void;
}

const isMac = /Mac|iP(hone|ad|od)/.test(navigator.platform);
const MOD = isMac ? "⌘" : "Ctrl";

export const FIND_KEYS = [MOD, "K"];

export const SHORTCUTS: Shortcut[] = [
  {
    bindings: ["$mod+k"],
    keys: [FIND_KEYS],
    text: "Find a room, a person or a message",
    isGlobal: true,
    run: (chat) => (chat.overlay.value = { kind: "palette" }),
  },
  {
    bindings: ["$mod+Shift+f"],
    keys: [[MOD, "Shift", "F"]],
    text: "Search in this conversation",
    isGlobal: true,
    run: (chat) => {
      if (chat.active.value) chat.overlay.value = { kind: "search", query: "" };
    },
  },
  {
    bindings: ["Alt+ArrowDown", "Alt+ArrowUp"],
    keys: [["Alt", "↓"], ["Alt", "↑"]],
    text: "Next or previous conversation",
    isGlobal: true,
  },
  {
    bindings: ["Alt+Shift+ArrowDown", "Alt+Shift+ArrowUp"],
    keys: [["Alt", "Shift", "↓"], ["Alt", "Shift", "↑"]],
    text: "Next or previous unread conversation",
    isGlobal: true,
  },
  { bindings: [], keys: [["Enter"]], text: "Send the message" },
  { bindings: [], keys: [["Shift", "Enter"]], text: "Begin a new line in the message" },
  { bindings: [], keys: [["↑"]], text: "In an empty text field: edit your last message" },
  { bindings: [], keys: [["↑"], ["↓"]], text: "On a message: go to another one" },
  { bindings: [], keys: [["Enter"]], text: "On a message: go to its tools" },
  { bindings: [], keys: [["Esc"]], text: "Close a dialog or a menu, or go back to the text field" },
  {
    bindings: ["Shift+?", "?"], // with and without Shift, as the keyboard needs it,
    keys: [["?"]],
    text: "Show this list",
    run: (chat) => (chat.overlay.value = { kind: "keys" }),
  },
];

/** Handle the shortcuts. Returns a function that stops this. */
export function listenForShortcuts(chat: Chat): () => void {
  const steps: Record<string, () => void> = {
    "Alt+ArrowDown": () => step(chat, 1, false),
    "Alt+ArrowUp": () => step(chat, -1, false),
    "Alt+Shift+ArrowDown": () => step(chat, 1, true),
    "Alt+Shift+ArrowUp": () => step(chat, -1, true),
  };
  const bindings: Record<string, (event: KeyboardEvent) => void> = {};
  for (const { bindings: names, isGlobal = false, run } of SHORTCUTS) {
    for (const name of names) {
      bindings[name] = (event) => {
        if (!isGlobal && isField(event.target)) return;
        event.preventDefault();
        // The rest of the page is inert behind a dialog.
        if (chat.dialogs.value === 0) (steps[name] ?? run)?.(chat);
      };
    }
  }
  return tinykeys(document.documentElement, bindings);
}

function isField(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest("input, textarea, select, [contenteditable]") !== null;
}

/** Go to the next conversation in the list. */
function step(chat: Chat, by: number, isUnread: boolean): void {
  const { active } = chat;
  const all = listed(chat.conversations.value, chat.preferences.favourites.value);
  const open = all.filter((one) => !isUnread || one === active.value || one.unread.value > 0);
  const position = active.value ? open.indexOf(active.value) : by > 0 ? -1 : 0;
  const next = open[(position + by + open.length) % open.length];
  if (next) chat.open(next);
}
