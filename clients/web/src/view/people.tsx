/** The people in a room. */

import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";

import type { RoomConversation } from "../state/room.js";
import type { Chat } from "../state/session.js";
import { SortedNames } from "../state/sorted.js";
import { fullTimeText, count, isolated } from "../state/texts.js";
import { Dialog } from "./dialog.js";
import { Icon } from "./icons.js";
import { LongList, useChoice } from "./long-list.js";
import { NameButton } from "./name.js";
import { Avatar, IconButton } from "./parts.js";
import { StatusDialog } from "./status.js";

export function People({ chat, room, onClose }: { chat: Chat; room: RoomConversation; onClose: () => void }) {
  const sorted = useMemo(() => new SortedNames(), [room]);
  const names = sorted.of(room.members.value.keys());
  const { chosen, controls } = useChoice(names, "Find a person", {
    label: "Newest first",
    numberOf: (name) => room.presences.byName.value.get(name)?.joinedAt ?? 0,
  });
  const box = useRef<HTMLDivElement>(null);
  const [removing, setRemoving] = useState<string | null>(null);
  const [isSettingStatus, setSettingStatus] = useState(false);
  const panel = useRef<HTMLElement>(null);
  /** Whether the focus was in the panel before an item disappeared. */
  const hadFocus = useRef(false);
  useLayoutEffect(() => {
    if (hadFocus.current && document.activeElement === document.body) panel.current?.focus();
  });
  return (
    <aside
      class="people"
      aria-label={`People in ${room.name}`}
      ref={panel}
      tabIndex={-1}
      onFocusIn={() => (hadFocus.current = true)}
      onFocusOut={(event) => {
        // Nothing gets the focus automatically when its element is removed.
        if (event.relatedTarget !== null) hadFocus.current = false;
      }}
    >
      <header>
        <h2>
          Here now <span class="quiet">{names.length}</span>
        </h2>
        <IconButton icon="close" label="Hide people" onClick={onClose} />
      </header>
      {controls}
      <div class="list" ref={box}>
        <LongList
          box={box}
          names={chosen}
          height={48}
          row={(name) => (
            <Person
              key={name}
              chat={chat}
              room={room}
              name={name}
              onRemove={setRemoving}
              onStatus={setSettingStatus}
            />
          )}
        />
      </div>
      {removing !== null && (
        <RemoveDialog chat={chat} room={room} name={removing} onClose={() => setRemoving(null)} />
      )}
      {isSettingStatus && <StatusDialog chat={chat} room={room} onClose={() => setSettingStatus(false)} />}
    </aside>
  );
}

interface PersonProps {
  chat: Chat;
  room: RoomConversation;
  name: string;
}

function Person({
  chat,
  room,
  name,
  onRemove,
  onStatus,
}: PersonProps & { onRemove: (name: string) => void; onStatus: (isOpen: boolean) => void }) {
  const { joinedAt = null, status = "" } = room.presences.byName.value.get(name) ?? {};
  const devices = room.members.value.get(name) ?? 1;
  const isMe = name === chat.userName.value;
  const isOwner = name === room.owner.value;
  const isAdmin = room.lists.value.adminlist.includes(name);
  return (
    <li>
      <Avatar name={name} />
      <span class="who">
        <span class="name" title={joinedAt === null ? undefined : `Here since ${fullTimeText(joinedAt)}`}>
          <NameButton chat={chat} name={name} />
          {isMe && <span class="quiet"> (you)</span>}
        </span>
        {status !== "" && (
          <span class="status">
            <bdi>{status}</bdi>
          </span>
        )}
        {(isOwner || isAdmin || devices > 1) && (
          <span class="about">
            {isOwner ? (
              <span>
                <Icon name="crown" />
                Owner
              </span>
            ) : (
              isAdmin && (
                <span>
                  <Icon name="shield" />
                  Admin
                </span>
              )
            )}
            {devices > 1 && (
              <span title={count(devices, "device")}>
                <Icon name="devices" />
                {devices}
                <span class="sr-only"> devices</span>
              </span>
            )}
          </span>
        )}
      </span>
      {isMe && <IconButton icon="pencil" label="Your status" onClick={() => onStatus(true)} />}
      {!isMe && <IconButton icon="chat" label={`Message ${name}`} onClick={() => chat.openDirect(name)} />}
      {room.mayRemove(name) && (
        <IconButton icon="remove" label={`Remove ${name}`} onClick={() => onRemove(name)} />
      )}
    </li>
  );
}

/** Remove a person for now, or so that they cannot come back. */
export function RemoveDialog({ chat, room, name, onClose }: PersonProps & { onClose: () => void }) {
  const done = `${isolated(name)} was removed from ${isolated(room.name)}`;
  const run = (work: Promise<void>, told: string) => {
    onClose();
    void chat.attempt(work.then(() => chat.toast(told)));
  };
  return (
    <Dialog
      chat={chat}
      title={
        <>
          Remove <bdi>{name}</bdi>
        </>
      }
      onClose={onClose}
    >
      <p>
        <bdi>{name}</bdi> is removed from <bdi>{room.name}</bdi> immediately. Unless blocked, a removed person may join again.
      </p>
      <div class="actions">
        <button type="button" onClick={onClose}>
          Cancel
        </button>
        <button
          type="button"
          class="danger"
          onClick={() => run(room.block(name), `${done}, and is on its list of blocked people.`)}
        >
          Remove and block
        </button>
        <button type="button" class="danger" onClick={() => run(room.removeUser(name), `${done}.`)}>
          Remove from room
        </button>
      </div>
    </Dialog>
  );
}
