/** Who is in a room. */

import type { RoomConversation } from "../state/room.js";
import type { Chat } from "../state/session.js";
import { count } from "../state/texts.js";
import { Icon } from "./icons.js";
import { Avatar, IconButton } from "./parts.js";

export function People({ chat, room, onClose }: { chat: Chat; room: RoomConversation; onClose: () => void }) {
  const names = [...room.members.value.keys()].sort((one, other) => one.localeCompare(other));
  return (
    <aside class="people" aria-label={`People in ${room.name}`}>
      <header>
        <h2>
          Here now <span class="quiet">{names.length}</span>
        </h2>
        <IconButton icon="close" label="Hide people" onClick={onClose} />
      </header>
      <ul>
        {names.map((name) => (
          <Person key={name} chat={chat} room={room} name={name} />
        ))}
      </ul>
    </aside>
  );
}

function Person({ chat, room, name }: { chat: Chat; room: RoomConversation; name: string }) {
  const devices = room.members.value.get(name) ?? 1;
  const isMe = name === chat.userName.value;
  const isOwner = name === room.owner.value;
  const isAdmin = room.lists.value.adminlist.includes(name);
  // Admins are removed by the owner, the owner by nobody.
  const mayRemove = !isMe && !isOwner && room.isAdmin.value && (!isAdmin || room.isOwner.value);
  const remove = async () => {
    if (isAdmin) await room.removeFromList("adminlist", name);
    await room.addToList("blacklist", name);
    chat.toast(`${name} was removed from ${room.name}, and is on its list of blocked people.`);
  };
  return (
    <li>
      <Avatar name={name} />
      <span class="who">
        <span class="name">
          {name}
          {isMe && <span class="quiet"> (you)</span>}
        </span>
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
      {!isMe && <IconButton icon="chat" label={`Message ${name}`} onClick={() => chat.openDirect(name)} />}
      {mayRemove && (
        <IconButton icon="remove" label={`Remove ${name}`} onClick={() => void chat.attempt(remove())} />
      )}
    </li>
  );
}
