/** Who is in a room, as people come and go. */

import { useEffect, useMemo } from "preact/hooks";

import { path } from "../state/api.js";
import type { RoomEvents } from "../state/events.js";
import { Listing, PAGE } from "../state/listing.js";
import type { Member, RoomStatus } from "../state/records.js";
import { userLink } from "../state/route.js";
import type { Session } from "../state/session.js";
import { number } from "../state/texts.js";
import type { Column } from "./grid.js";
import { ListView } from "./list.js";

const COLUMNS: readonly Column<Member>[] = [
  {
    key: "name",
    title: "User",
    width: "minmax(9rem, 1fr)",
    isSortable: true,
    cell: (member, tabIndex) => (
      <a href={userLink(member.userName)} tabIndex={tabIndex}>
        <bdi>{member.userName}</bdi>
      </a>
    ),
  },
  {
    key: "sockets",
    title: "Sockets",
    width: "8rem",
    isNumber: true,
    isSortable: true,
    cell: (member) => number(member.sockets),
  },
];

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
        { sockets: (member) => member.sockets },
      ),
    [room.name],
  );
  useEffect(() => {
    void listing.refresh();
    const stop = events.listen(({ name, data }) => {
      const user = String(data["userName"]);
      if (name === "roomUserJoined") listing.change(user, listing.get(user) ?? { userName: user, sockets: 1 });
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
