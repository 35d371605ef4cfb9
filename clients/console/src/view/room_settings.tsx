/** The settings of a room. Those that differ from the room's are sent. */

import { useState } from "preact/hooks";

import { path } from "../state/api.js";
import type { RoomStatus } from "../state/records.js";
import type { Session } from "../state/session.js";
import { Button, Checkbox, Field, useWork } from "./parts.js";

const SWITCHES = [
  ["whitelistOnly", "Only users on the whitelist may join"],
  ["enableUserlistUpdates", "Members are told who joins and leaves"],
  ["enableAccessListsUpdates", "Members are told about changes of the access lists"],
] as const;

type Changes = Partial<Pick<RoomStatus, (typeof SWITCHES)[number][0] | "owner" | "historyMaxSize">>;

export function RoomSettings(props: { session: Session; room: RoomStatus; onChange: () => void }) {
  const { session, room } = props;
  const [changes, setChanges] = useState<Changes>({});
  const { isBusy, error, run } = useWork();
  const mayWrite = session.may("write");
  const set = (more: Changes) => setChanges((now) => ({ ...now, ...more }));
  const wanted = Object.fromEntries(
    Object.entries(changes).filter(([name, value]) => room[name as keyof RoomStatus] !== value),
  );
  const save = async (event: SubmitEvent) => {
    event.preventDefault();
    await run(async () => {
      await session.api.value!.send("PATCH", path`/rooms/${room.name}`, wanted);
      session.toast("The settings were saved.");
      props.onChange();
    });
  };
  const owner = "owner" in changes ? changes.owner : room.owner;
  return (
    <form class="settings" onSubmit={(event) => void save(event)}>
      {SWITCHES.map(([name, label]) => (
        <Checkbox
          key={name}
          label={label}
          checked={changes[name] ?? room[name]}
          disabled={!mayWrite}
          onChange={(checked) => set({ [name]: checked })}
        />
      ))}
      {mayWrite ? (
        <>
          <Field
            label="Owner"
            value={owner ?? ""}
            onInput={(value) => set({ owner: value === "" ? null : value })}
            hint="Empty: nobody."
          />
          <Field
            label="Messages to keep"
            type="number"
            value={String(changes.historyMaxSize ?? room.historyMaxSize)}
            onInput={(value) => set({ historyMaxSize: Math.max(0, Math.floor(Number(value))) })}
            hint="Older messages are lost when there are more."
          />
          {error && (
            <p class="error" role="alert">
              {error}
            </p>
          )}
          <div class="actions">
            <Button type="submit" kind="primary" disabled={isBusy || Object.keys(wanted).length === 0}>
              Save
            </Button>
          </div>
        </>
      ) : (
        <p class="hint">Changes need a token with the scope write.</p>
      )}
    </form>
  );
}
