/** All users: sorted, searched; any name can be opened, known or not. */

import { useEffect, useState } from "preact/hooks";

import type { Lists } from "../state/lists.js";
import type { User } from "../state/records.js";
import { go, userLink } from "../state/route.js";
import type { Session } from "../state/session.js";
import { numberColumn, userColumn } from "./columns.js";
import { FormDialog } from "./dialog.js";
import type { Column } from "./grid.js";
import { ListView } from "./list.js";
import { Button, Checkbox, Field } from "./parts.js";

const COLUMNS: readonly Column<User>[] = [
  userColumn("Name", "minmax(9rem, 1fr)", (user) => user.name),
  numberColumn("sockets", "Sockets", "8rem", (user) => user.sockets),
];

export function Users({ session, lists }: { session: Session; lists: Lists }) {
  const [isOnline, setOnline] = useState(lists.onlineOnly.value);
  const [isOpening, setOpening] = useState(false);
  useEffect(() => void lists.users.refresh(), [isOnline]);
  return (
    <div class="page">
      <div class="page-head">
        <h1 id="title">Users</h1>
        <Button onClick={() => setOpening(true)}>Go to a name</Button>
      </div>
      <ListView
        listing={lists.users}
        label="Users"
        what="user"
        columns={COLUMNS}
        place={lists.usersPlace}
        empty={isOnline ? "Nobody is online." : "No user is known yet."}
        tools={
          <Checkbox
            label="Online only"
            checked={isOnline}
            onChange={(checked) => {
              lists.onlineOnly.value = checked;
              setOnline(checked);
            }}
          />
        }
      />
      {isOpening && <OpenUser session={session} onClose={() => setOpening(false)} />}
    </div>
  );
}

/** A name may be banned before anybody has logged in with it. */
function OpenUser({ session, onClose }: { session: Session; onClose: () => void }) {
  const [name, setName] = useState("");
  return (
    <FormDialog
      session={session}
      title="Go to a name"
      action="Open"
      canSubmit={name !== ""}
      onClose={onClose}
      onSubmit={async () => go(userLink(name))}
    >
      <Field
        label="Name of the user"
        value={name}
        onInput={setName}
        hint="Also names that nobody has used yet, to ban them."
        autoFocus
        required
      />
    </FormDialog>
  );
}
