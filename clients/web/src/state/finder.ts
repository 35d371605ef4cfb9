/** What the finder offers for a query: conversations, other rooms, people, and messages that are loaded. */

import fuzzysort from "fuzzysort";

import type { Conversation } from "./conversation.js";
import type { RoomEntry } from "./demo.js";
import { contains, excerpt, terms, type Part } from "./matching.js";
import { listed } from "./order.js";
import { knownPeople } from "./people.js";
import type { Chat } from "./session.js";
import type { MessageItem } from "./timeline.js";

/** The maximum number of results of each kind. */
const SHOWN = 6;
/** Between 0 and 1: how alike a name must be to the query. */
const ALIKE = 0.3;
/** The maximum number of messages that a query looks at, newest first in each conversation. */
const MAX_MESSAGES = 20_000;

export type Hit =
  | { kind: "conversation"; conversation: Conversation; parts: Part[] }
  | { kind: "room"; room: RoomEntry; parts: Part[] }
  | { kind: "person"; name: string; parts: Part[] }
  | { kind: "message"; conversation: Conversation; item: MessageItem; parts: Part[] }
  | { kind: "history"; conversation: Conversation; query: string };

/** The results for a query, best first within each kind. Without a query: the user's conversations, unread ones first. */
export function find(chat: Chat, query: string): Hit[] {
  const wanted = query.trim();
  const mine = listed(chat.conversations.value, chat.preferences.favourites.value);
  if (wanted === "") return start(mine);
  const names = new Set(mine.map((one) => one.key));
  const conversations = alike(wanted, mine).map(
    ({ one, parts }): Hit => ({ kind: "conversation", conversation: one, parts }),
  );
  const others = [...chat.directory.value.values()].filter((room) => !names.has(`room:${room.name}`));
  const rooms = alike(wanted, others).map(({ one, parts }): Hit => ({ kind: "room", room: one, parts }));
  const people = knownPeople(chat.conversations.value, chat.userName.value)
    .filter((name) => !names.has(`direct:${name}`))
    .map((name) => ({ name }));
  const persons = alike(wanted, people).map(
    ({ one, parts }): Hit => ({ kind: "person", name: one.name, parts }),
  );
  const active = chat.active.value;
  const more: Hit[] = active ? [{ kind: "history", conversation: active, query: wanted }] : [];
  return [...conversations, ...rooms, ...persons, ...messages(mine, wanted), ...more];
}

function start(mine: Conversation[]): Hit[] {
  const unread = mine.filter((one) => one.unread.value > 0);
  const read = mine.filter((one) => one.unread.value === 0);
  return [...unread, ...read].slice(0, 2 * SHOWN).map((conversation) => ({
    kind: "conversation",
    conversation,
    parts: [{ text: conversation.name, isMatch: false }],
  }));
}

function alike<One extends { name: string }>(query: string, list: readonly One[]): { one: One; parts: Part[] }[] {
  const found = fuzzysort.go(query, list, { key: "name", limit: SHOWN, threshold: ALIKE });
  return found.map((result) => {
    const parts = result.highlight((text): Part => ({ text, isMatch: true }));
    return {
      one: result.obj,
      parts: parts.map((part) => (typeof part === "string" ? { text: part, isMatch: false } : part)),
    };
  });
}

function messages(mine: readonly Conversation[], query: string): Hit[] {
  const words = terms(query);
  if (words.length === 0) return [];
  const found: { conversation: Conversation; item: MessageItem }[] = [];
  let left = MAX_MESSAGES;
  for (const conversation of mine) {
    const items = conversation.items.value;
    for (let index = items.length - 1, count = 0; index >= 0 && count < SHOWN && left > 0; index--, left--) {
      const item = items[index]!;
      if (item.kind !== "message" || !contains(item, words)) continue;
      found.push({ conversation, item });
      count += 1;
    }
  }
  found.sort((one, other) => other.item.timestamp - one.item.timestamp);
  return found.slice(0, SHOWN).map(({ conversation, item }) => ({
    kind: "message",
    conversation,
    item,
    parts: excerpt(item.text, words, 80),
  }));
}
