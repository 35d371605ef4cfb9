/** All rooms: sorted, searched, created. */

import { useEffect, useState } from "preact/hooks";

import type { Lists } from "../state/lists.js";
import type { Room } from "../state/records.js";
import { go, roomLink } from "../state/route.js";
import type { Session } from "../state/session.js";
import { numberColumn } from "./columns.js";
import { FormDialog } from "./dialog.js";
import type { Column } from "./grid.js";
import { Icon } from "./icons.js";
import { ListView } from "./list.js";
import { Button, Checkbox, Field, UserLink } from "./parts.js";

const COLUMNS: readonly Column<Room>[] = [
  {
    key: "name",
    title: "Name",
    width: "minmax(9rem, 3fr)",
    isSortable: true,
    cell: (room, tabIndex) => (
      <a href={roomLink(room.name)} tabIndex={tabIndex}>
        <bdi>{room.name}</bdi>
        {room.whitelistOnly && (
          <>
            <Icon name="lock" />
            <span class="sr-only">, whitelist only</span>
          </>
        )}
      </a>
    ),
  },
  numberColumn("members", "Members", "6.5rem", (room) => room.membersCount),
  numberColumn("messages", "Messages", "7rem", (room) => room.lastMessageId),
  numberColumn("stored", "Stored", "6.5rem", (room) => room.historySize),
  {
    key: "owner",
    title: "Owner",
    width: "minmax(6rem, 1.5fr)",
    cell: (room, tabIndex) =>
      room.owner === null ? (
        <span class="quiet">none</span>
      ) : (
        <UserLink name={room.owner} tabIndex={tabIndex} />
      ),
  },
];

export function Rooms({ session, lists }: { session: Session; lists: Lists }) {
  const [isCreating, setCreating] = useState(false);
  useEffect(() => void lists.rooms.refresh(), []);
  return (
    <div class="page">
      <div class="page-head">
        <h1 id="title">Rooms</h1>
        {session.may("write") && (
          <Button icon="plus" kind="primary" onClick={() => setCreating(true)}>
            Create a room
          </Button>
        )}
      </div>
      <ListView
        listing={lists.rooms}
        label="Rooms"
        what="room"
        columns={COLUMNS}
        place={lists.roomsPlace}
        empty="There are no rooms yet."
      />
      {isCreating && <CreateRoom session={session} onClose={() => setCreating(false)} />}
    </div>
  );
}

function CreateRoom({ session, onClose }: { session: Session; onClose: () => void }) {
  const [name, setName] = useState("");
  const [owner, setOwner] = useState("");
  const [history, setHistory] = useState("");
  const [isClosed, setClosed] = useState(false);
  const create = async () => {
    const body: Record<string, unknown> = { name, whitelistOnly: isClosed };
    if (owner !== "") body["owner"] = owner;
    if (history !== "") body["historyMaxSize"] = Number(history);
    await session.api.value!.send("POST", "/rooms", body);
    session.toast("The room was created.");
    go(roomLink(name));
  };
  return (
    <FormDialog
      session={session}
      title="Create a room"
      action="Create"
      canSubmit={name !== ""}
      onClose={onClose}
      onSubmit={create}
    >
      <Field label="Name" value={name} onInput={setName} autoFocus required />
      <Field label="Owner" value={owner} onInput={setOwner} hint="A user, or nobody." />
      <Field
        label="Messages to keep"
        type="number"
        value={history}
        onInput={setHistory}
        hint="Empty: as the options of the service say."
      />
      <Checkbox label="Only users on the whitelist may join" checked={isClosed} onChange={setClosed} />
    </FormDialog>
  );
}
