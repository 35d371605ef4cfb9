/** What the page knows about a person, and what the user can do about them. */

import { useState } from "preact/hooks";

import { roomsWith } from "../state/people.js";
import { RoomConversation } from "../state/room.js";
import type { Chat } from "../state/session.js";
import { isolated, whenText } from "../state/texts.js";
import { Dialog } from "./dialog.js";
import { Avatar } from "./parts.js";
import { RemoveDialog } from "./people.js";
import { PresenceDot, Whereabouts } from "./presence.js";

/** The maximum number of rooms that are listed. */
const MAX_ROOMS = 20;

interface ProfileProps {
  chat: Chat;
  name: string;
  onClose: () => void;
}

export function Profile({ chat, name, onClose }: ProfileProps) {
  const [isRemoving, setRemoving] = useState(false);
  const rooms = roomsWith(chat.conversations.value, name);
  const active = chat.active.value;
  const isRoom = active instanceof RoomConversation && active.kind === "room" && active.closed.value === null;
  const room = isRoom ? active : undefined;
  const isMe = name === chat.userName.value;
  if (isRemoving && room) return <RemoveDialog chat={chat} room={room} name={name} onClose={onClose} />;
  return (
    <Dialog chat={chat} title={<bdi>{name}</bdi>} onClose={onClose}>
      <div class="profile">
        <PresenceDot chat={chat} name={name}>
          <Avatar name={name} />
        </PresenceDot>
        <p>{isMe ? "This is you." : <Whereabouts chat={chat} name={name} />}</p>
      </div>
      {rooms.length > 0 && (
        <section>
          <h3>{isMe ? "Your rooms" : "In your rooms"}</h3>
          <ul class="places">
            {rooms.slice(0, MAX_ROOMS).map((one) => (
              <Presence key={one.name} room={one} name={name} />
            ))}
          </ul>
          {rooms.length > MAX_ROOMS && <p class="hint">And {rooms.length - MAX_ROOMS} more.</p>}
        </section>
      )}
      {room && <Role chat={chat} room={room} name={name} onRemove={() => setRemoving(true)} />}
      {!isMe && (
        <div class="actions">
          <button
            type="button"
            class="primary"
            onClick={() => {
              onClose();
              setTimeout(() => chat.openDirect(name));
            }}
          >
            Send a direct message
          </button>
        </div>
      )}
    </Dialog>
  );
}

/** A room in which the person is. */
function Presence({ room, name }: { room: RoomConversation; name: string }) {
  const { joinedAt = null, status = "" } = room.presences.byName.value.get(name) ?? {};
  return (
    <li>
      <bdi>{room.name}</bdi>
      {joinedAt !== null && (
        <span class="quiet">
          {" "}
          since {whenText(joinedAt)}
        </span>
      )}
      {status !== "" && (
        <span class="status">
          <bdi>{status}</bdi>
        </span>
      )}
    </li>
  );
}

/** What the person may do in the open room, and how the user can change that. */
function Role({ chat, room, name, onRemove }: Omit<ProfileProps, "onClose"> & { room: RoomConversation; onRemove: () => void }) {
  const { adminlist, whitelist, blacklist } = room.lists.value;
  const isOwner = room.owner.value === name;
  const isAdmin = adminlist.includes(name);
  const isBlocked = blacklist.includes(name);
  const isInvited = whitelist.includes(name);
  const isMember = room.members.value.has(name);
  const mayChange = room.isAdmin.value && !isOwner && name !== chat.userName.value;
  const run = (work: Promise<void>, told: string) => void chat.attempt(work.then(() => chat.toast(told)));
  const who = isolated(name);
  const where = isolated(room.name);
  const role = isOwner
    ? "Owner"
    : isAdmin
      ? "Admin"
      : isBlocked
        ? "Blocked"
        : isMember
          ? "Member"
          : isInvited
            ? "Invited"
            : "Not a member right now";
  return (
    <section aria-label={`Role in ${room.name}`}>
      <h3>
        Role in <bdi>{room.name}</bdi>
      </h3>
      <p>{role}</p>
      {mayChange && (
        <div class="actions start">
          {room.isOwner.value && !isAdmin && (
            <button type="button" onClick={() => run(room.addToList("adminlist", name), `${who} is now an admin of ${where}.`)}>
              Make admin
            </button>
          )}
          {room.isOwner.value && isAdmin && (
            <button
              type="button"
              onClick={() => run(room.removeFromList("adminlist", name), `${who} is no longer an admin of ${where}.`)}
            >
              Remove as admin
            </button>
          )}
          {room.whitelistOnly.value && !isInvited && !isAdmin && (
            <button type="button" onClick={() => run(room.addToList("whitelist", name), `${who} may now join ${where}.`)}>
              Invite
            </button>
          )}
          {isBlocked && (
            <button
              type="button"
              onClick={() => run(room.removeFromList("blacklist", name), `${who} may join ${where} again.`)}
            >
              Unblock
            </button>
          )}
          {!isMember && !isBlocked && (!isAdmin || room.isOwner.value) && (
            <button type="button" class="danger" onClick={() => run(room.block(name), `${who} can no longer join ${where}.`)}>
              Block
            </button>
          )}
          {isMember && room.mayRemove(name) && (
            <button type="button" class="danger" onClick={onRemove}>
              Remove from the room…
            </button>
          )}
        </div>
      )}
    </section>
  );
}
