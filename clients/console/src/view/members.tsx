/** Who is in a room, as people come and go. */

import { useEffect, useMemo } from "preact/hooks";

import { path } from "../state/api.js";
import type { RoomEvents } from "../state/events.js";
import { Listing, PAGE } from "../state/listing.js";
import type { Member, RoomStatus } from "../state/records.js";
import type { Session } from "../state/session.js";
import { dateTime } from "../state/texts.js";
import { numberColumn, userColumn } from "./columns.js";
import type { Column } from "./grid.js";
import { ListView } from "./list.js";

const COLUMNS: readonly Column<Member>[] = [
  userColumn("User", "minmax(9rem, 1fr)", (member) => member.userName),
  numberColumn("sockets", "Sockets", "6rem", (member) => member.sockets),
  {
    key: "joinedAt",
    title: "Joined",
    width: "minmax(8rem, 12rem)",
    isSortable: true,
    cell: ({ joinedAt }) =>
      joinedAt !== null && <time dateTime={new Date(joinedAt).toISOString()}>{dateTime(joinedAt)}</time>,
  },
  {
    key: "details",
    title: "Details",
    width: "minmax(6rem, 2fr)",
    cell: ({ details }) => {
      const text = detailsText(details);
      return <span title={text}>{text}</span>;
    },
  },
];

/** Texts as they are, other values as JSON. */
function detailsText(details: unknown): string {
  if (details === undefined || details === null) return "";
  return typeof details === "string" ? details : JSON.stringify(details);
}

interface MembersPage {
  members: Member[];
  cursor: string | null;
}

export function Members({ session, room, events }: { session: Session; room: RoomStatus; events: RoomEvents }) {
  const api = session.api.value!;
  const listing = useMemo(
    () =>
      new Listing<Member>(
        async (cursor, _, signal) => {
          const place = path`/rooms/${room.name}/members`;
          const page = await api.get<MembersPage>(place, { limit: PAGE, cursor }, signal);
          return { items: page.members, cursor: page.cursor };
        },
        (member) => member.userName,
        { sockets: (member) => member.sockets, joinedAt: (member) => member.joinedAt ?? 0 },
      ),
    [room.name],
  );
  useEffect(() => {
    void listing.refresh();
    const stop = events.listen(({ name, data }) => {
      const user = String(data["userName"]);
      const known = listing.get(user);
      if (name === "roomUserJoined") listing.change(user, known ?? { userName: user, joinedAt: Date.now(), sockets: 1 });
      // These are the details that members see. Refreshing the list shows those that a hook hides from them, too.
      else if (name === "roomMemberUpdated" && known) listing.change(user, { ...known, details: data["details"] });
      else if (name === "roomUserLeft") listing.change(user, null);
      else if (name === "roomStateGap") void listing.refresh();
    });
    return () => {
      stop();
      listing.stop();
    };
  }, [listing, events]);
  return (
    <>
      {!room.enableUserlistUpdates && (
        <p class="hint">The room does not tell who comes and goes. Refresh the list to see its present members.</p>
      )}
      <ListView listing={listing} label="Members" what="member" columns={COLUMNS} empty="Nobody is in this room." />
    </>
  );
}
