/** Whether people are here, and since when they are not. */

import { useComputed } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";

import { isHere, type Seen } from "../state/people.js";
import type { Chat } from "../state/session.js";
import { agoText, isolated } from "../state/texts.js";

/** How often "5 minutes ago" is brought up to date, in ms. */
const REFRESH_MS = 30_000;

/** Whether a person is in one of the user's rooms. The component is displayed again only when that changes. */
export function useIsHere(chat: Chat, name: string): boolean {
  return useComputed(() => isHere(chat.conversations.value, name)).value;
}

/** A dot on the avatar of a person. */
export function PresenceDot({ chat, name, children }: { chat: Chat; name: string; children: ComponentChildren }) {
  const here = useIsHere(chat, name);
  return (
    <span class={here ? "presence here" : "presence"}>
      {children}
      <span class="sr-only">{here ? "Here now: " : ""}</span>
    </span>
  );
}

/** "Here now", or when the person was last seen in one of the user's rooms. */
export function Whereabouts({ chat, name }: { chat: Chat; name: string }) {
  const here = useIsHere(chat, name);
  const isOnline = chat.connection.value === "online";
  const [seen, setSeen] = useState<Seen | null | undefined>(undefined);
  const [, setNow] = useState(0);
  useEffect(() => {
    if (here || !isOnline) return;
    let isCurrent = true;
    void chat.lastSeen(name).then((found) => {
      if (isCurrent) setSeen(found);
    });
    const timer = setInterval(() => setNow(Date.now()), REFRESH_MS);
    return () => {
      isCurrent = false;
      clearInterval(timer);
    };
  }, [name, here, isOnline]);
  if (here) return <span class="online">Here now</span>;
  if (seen === undefined) return <span>Not in your rooms now</span>;
  if (seen === null) return <span>Never seen in your rooms</span>;
  return (
    <span>
      Last seen {agoText(seen.timestamp)} in {isolated(seen.room)}
    </span>
  );
}
