/** The finder for rooms, people and messages. */

import type { JSX } from "preact";
import { useId, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";

import { find, type Hit } from "../state/finder.js";
import type { Chat } from "../state/session.js";
import { badge, count, isolated, timeText, dayText } from "../state/texts.js";
import { Dialog } from "./dialog.js";
import { Icon } from "./icons.js";
import { Marked } from "./marked.js";
import { Avatar } from "./parts.js";
import { PresenceDot } from "./presence.js";

const TITLES: Record<Hit["kind"], string> = {
  conversation: "Your conversations",
  room: "Other rooms",
  person: "People",
  message: "Messages",
  history: "More",
};

/** A text field that leads a list of results, as the ARIA pattern of a combobox describes. */
export function Palette({ chat, onClose }: { chat: Chat; onClose: () => void }) {
  const [query, setQuery] = useState("");
  const [chosen, setChosen] = useState(0);
  const id = useId();
  const list = useRef<HTMLDivElement>(null);
  const { value: conversations } = chat.conversations;
  const hits = useMemo(() => find(chat, query), [query, conversations]);
  useLayoutEffect(() => {
    list.current?.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
  }, [chosen, hits]);

  const go = (hit: Hit | undefined) => {
    if (hit === undefined) return;
    onClose();
    // After the dialog has restored the focus, so that the focus moves on from there.
    setTimeout(() => open(chat, hit));
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.isComposing) return;
    if (event.key === "Enter") go(hits[chosen]);
    else if (event.key === "ArrowDown") setChosen((chosen + 1) % Math.max(1, hits.length));
    else if (event.key === "ArrowUp") setChosen((chosen - 1 + hits.length) % Math.max(1, hits.length));
    else return;
    event.preventDefault();
  };
  return (
    <Dialog chat={chat} title="Find" onClose={onClose}>
      <div class="finder">
        <input
          type="text"
          role="combobox"
          autofocus
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          dir="auto"
          aria-label="Room, person or message"
          placeholder="Room, person or message"
          aria-expanded={hits.length > 0}
          aria-controls={`${id}-list`}
          aria-autocomplete="list"
          aria-activedescendant={hits.length > 0 ? `${id}-${chosen}` : undefined}
          value={query}
          onInput={(event) => {
            setQuery(event.currentTarget.value);
            setChosen(0);
          }}
          onKeyDown={onKeyDown}
        />
        <div class="hits" role="listbox" id={`${id}-list`} aria-label="Results" ref={list}>
          {groups(hits).map(({ kind, begin, members }) => (
            <div key={kind} role="group" aria-labelledby={`${id}-${kind}`}>
              <p class="group" id={`${id}-${kind}`} role="presentation">
                {TITLES[kind]}
              </p>
              {members.map((hit, index) => (
                <div
                  key={keyOf(hit)}
                  class="hit"
                  role="option"
                  id={`${id}-${begin + index}`}
                  aria-selected={begin + index === chosen}
                  onClick={() => go(hit)}
                >
                  {row(chat, hit)}
                </div>
              ))}
            </div>
          ))}
        </div>
        {isNothing(hits) && <Nothing query={query} />}
        <p class="sr-only" role="status">
          {query === "" ? "" : count(hits.length, "result")}
        </p>
      </div>
    </Dialog>
  );
}

/** Whether there is nothing but the offer to search in the history. */
const isNothing = (hits: readonly Hit[]) => hits.every((hit) => hit.kind === "history");

function Nothing({ query }: { query: string }) {
  return (
    <p class="hint">
      {query.trim() === ""
        ? "Rooms that you join and people that you write to are listed here."
        : "No room, nobody in your rooms and no loaded message is called that, or says that."}
    </p>
  );
}

function keyOf(hit: Hit): string {
  if (hit.kind === "room") return hit.room.name;
  if (hit.kind === "person") return hit.name;
  return hit.kind === "message" ? `${hit.conversation.key}/${hit.item.key}` : hit.conversation.key;
}

function groups(hits: Hit[]): { kind: Hit["kind"]; begin: number; members: Hit[] }[] {
  const made: { kind: Hit["kind"]; begin: number; members: Hit[] }[] = [];
  hits.forEach((hit, index) => {
    const last = made.at(-1);
    if (last?.kind === hit.kind) last.members.push(hit);
    else made.push({ kind: hit.kind, begin: index, members: [hit] });
  });
  return made;
}

function row(chat: Chat, hit: Hit): JSX.Element {
  if (hit.kind === "conversation") {
    const { conversation, parts } = hit;
    const unread = conversation.unread.value;
    return (
      <>
        {conversation.kind === "direct" ? (
          <PresenceDot chat={chat} name={conversation.name}>
            <Avatar name={conversation.name} />
          </PresenceDot>
        ) : (
          <Icon name={chat.directory.value.get(conversation.name)?.whitelistOnly ? "lock" : "hash"} />
        )}
        <bdi class="name">
          <Marked parts={parts} />
        </bdi>
        {unread > 0 && <span class="quiet">{badge(unread)} unread</span>}
      </>
    );
  }
  if (hit.kind === "room") {
    return (
      <>
        <Icon name={hit.room.whitelistOnly ? "lock" : "hash"} />
        <bdi class="name">
          <Marked parts={hit.parts} />
        </bdi>
        <span class="quiet">{count(hit.room.members, "person", "people")} here. Join</span>
      </>
    );
  }
  if (hit.kind === "person") {
    return (
      <>
        <PresenceDot chat={chat} name={hit.name}>
          <Avatar name={hit.name} />
        </PresenceDot>
        <bdi class="name">
          <Marked parts={hit.parts} />
        </bdi>
        <span class="quiet">Message</span>
      </>
    );
  }
  if (hit.kind === "history") {
    return (
      <>
        <Icon name="search" />
        <span class="name">
          Search in <bdi>{hit.conversation.name}</bdi> for “<bdi>{hit.query}</bdi>”
        </span>
      </>
    );
  }
  const { conversation, item } = hit;
  return (
    <>
      <Icon name="chat" />
      <span class="name said">
        <bdi class="quiet">{item.author}</bdi>
        <span dir="auto">
          <Marked parts={hit.parts} />
        </span>
      </span>
      <span class="quiet">
        {isolated(conversation.name)}, {dayText(item.timestamp)} {timeText(item.timestamp)}
      </span>
    </>
  );
}

function open(chat: Chat, hit: Hit): void {
  if (hit.kind === "room") void chat.tryRoom(hit.room.name);
  else if (hit.kind === "person") chat.openDirect(hit.name);
  else {
    chat.open(hit.conversation);
    if (hit.kind === "message") hit.conversation.target.value = hit.item.key;
    if (hit.kind === "history") chat.overlay.value = { kind: "search", query: hit.query };
  }
}
