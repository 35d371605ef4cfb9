/** A user: sockets, ban, lists, and what operators do about them. */

import { useEffect, useState } from "preact/hooks";

import { ApiError, path } from "../state/api.js";
import type { Ban, Socket, UserStatus } from "../state/records.js";
import { go, roomLink } from "../state/route.js";
import type { Session } from "../state/session.js";
import { count, dateTime, explain, isolated } from "../state/texts.js";
import { FormDialog } from "./dialog.js";
import { Names } from "./names.js";
import { Button, DetailPage, Field, IconButton, Name, useRepeated, useWork } from "./parts.js";

/** Time in ms between two readings. */
const EVERY = 5_000;
/** Sockets that are shown, and rooms of each. */
const MAX_SOCKETS = 100;
const MAX_ROOMS = 20;

interface Known {
  ban: Ban;
  /** Null: nobody of this name is known. */
  user: UserStatus | null;
  sockets: Socket[];
}

export function UserPage({ session, name }: { session: Session; name: string }) {
  const api = session.api.value!;
  const [known, setKnown] = useState<Known | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const read = async () => {
    try {
      const ban = await api.get<Ban>(path`/users/${name}/ban`);
      let user: UserStatus | null = null;
      let sockets: Socket[] = [];
      try {
        user = await api.get<UserStatus>(path`/users/${name}`);
        const query = { limit: MAX_SOCKETS };
        ({ sockets } = await api.get<{ sockets: Socket[] }>(path`/users/${name}/sockets`, query));
      } catch (error) {
        if (!(error instanceof ApiError && error.code === "noUser")) throw error;
      }
      setKnown({ ban, user, sockets });
      setProblem(null);
    } catch (error) {
      setProblem(explain(error));
    }
  };
  const load = () => void read();
  useRepeated(load, EVERY);
  return (
    <DetailPage
      list="Users"
      link="#/users"
      name={name}
      actions={known && <Actions session={session} name={name} known={known} onChange={load} />}
      problem={problem}
      onRetry={load}
      isLoading={!known && !problem}
      doesScroll
    >
      {known && (
        <>
          <p class="badges">
            {known.user ? (
              <span class={known.user.sockets > 0 ? "badge good" : "badge"}>
                {known.user.sockets > 0 ? count(known.user.sockets, "socket") : "Offline"}
              </span>
            ) : (
              <span class="badge">Not known</span>
            )}
            {known.ban.banned && (
              <span class="badge danger">
                Banned {known.ban.until === null ? "for good" : `until ${dateTime(known.ban.until)}`}
              </span>
            )}
          </p>
          {known.ban.reason !== null && (
            <p>
              Reason of the ban: <bdi>{known.ban.reason}</bdi>
            </p>
          )}
          {known.sockets.length > 0 && <Sockets session={session} known={known} onChange={load} />}
          {known.user && known.user.sockets > 0 && session.may("write") && <Direct session={session} name={name} />}
          {known.user && (
            <section aria-labelledby="lists">
              <h2 id="lists">Direct messages</h2>
              <div class="columns">
                <Names
                  session={session}
                  place={path`/users/${name}/lists/blacklist`}
                  title="Blacklist"
                  hint="Users who may not write to this one."
                  isSub
                />
                <Names
                  session={session}
                  place={path`/users/${name}/lists/whitelist`}
                  title="Whitelist"
                  isSub
                  hint={
                    known.user.whitelistOnly
                      ? "Only these may write to this user."
                      : "Has no effect until this user chooses to hear only from it."
                  }
                />
              </div>
            </section>
          )}
        </>
      )}
    </DetailPage>
  );
}

type Asked = "ban" | "kick" | "delete" | null;

function Actions(props: { session: Session; name: string; known: Known; onChange: () => void }) {
  const { session, name, known, onChange } = props;
  const api = session.api.value!;
  const [asked, setAsked] = useState<Asked>(null);
  const { isBusy, error, run } = useWork();
  useEffect(() => {
    if (error) session.toast(error, true);
  }, [error]);
  if (!session.may("admin")) return null;
  const isOnline = (known.user?.sockets ?? 0) > 0;
  const unban = () =>
    void run(async () => {
      await api.send("DELETE", path`/users/${name}/ban`);
      session.toast(`${isolated(name)} may log in again.`);
      onChange();
    });
  const close = () => setAsked(null);
  return (
    <div class="actions">
      {isOnline && (
        <Button icon="kick" onClick={() => setAsked("kick")}>
          Kick
        </Button>
      )}
      {known.ban.banned && (
        <Button onClick={unban} disabled={isBusy}>
          Unban
        </Button>
      )}
      <Button icon="ban" kind="danger" onClick={() => setAsked("ban")}>
        {known.ban.banned ? "Change the ban" : "Ban"}
      </Button>
      {known.user && !isOnline && (
        <Button icon="trash" kind="danger" onClick={() => setAsked("delete")}>
          Delete
        </Button>
      )}
      {asked === "ban" && <BanDialog session={session} name={name} onChange={onChange} onClose={close} />}
      {asked === "kick" && (
        <FormDialog
          session={session}
          title={
            <>
              Kick <Name>{name}</Name>
            </>
          }
          action="Kick"
          isDanger
          onClose={close}
          onSubmit={async () => {
            await api.send("POST", path`/users/${name}/kick`);
            session.toast(`${isolated(name)} was disconnected.`);
            onChange();
          }}
        >
          <p>All sockets of this user are disconnected, on every instance. They may connect again at once.</p>
        </FormDialog>
      )}
      {asked === "delete" && (
        <FormDialog
          session={session}
          title={
            <>
              Delete <Name>{name}</Name>
            </>
          }
          action="Delete"
          isDanger
          onClose={close}
          onSubmit={async () => {
            await api.send("DELETE", path`/users/${name}`);
            session.toast(`${isolated(name)} was deleted.`);
            go("#/users");
          }}
        >
          <p>The user’s lists are deleted. Messages in rooms stay, and so does a ban.</p>
        </FormDialog>
      )}
    </div>
  );
}

/** How long a ban may last, in seconds; null: for good. */
const TIMES: readonly (readonly [string, number | null])[] = [
  ["1 hour", 3600],
  ["1 day", 86_400],
  ["7 days", 604_800],
  ["30 days", 2_592_000],
  ["For good", null],
];

function BanDialog(props: { session: Session; name: string; onChange: () => void; onClose: () => void }) {
  const { session, name } = props;
  const [chosen, setChosen] = useState(1);
  const [reason, setReason] = useState("");
  const ban = async () => {
    const body: Record<string, unknown> = {};
    const seconds = TIMES[chosen]![1];
    if (seconds !== null) body["seconds"] = seconds;
    if (reason !== "") body["reason"] = reason;
    await session.api.value!.send("PUT", path`/users/${name}/ban`, body);
    session.toast(`${isolated(name)} is banned.`);
    props.onChange();
  };
  return (
    <FormDialog
      session={session}
      title={
        <>
          Ban <Name>{name}</Name>
        </>
      }
      action="Ban"
      isDanger
      onClose={props.onClose}
      onSubmit={ban}
    >
      <p>The user is disconnected, leaves all rooms, and cannot log in. No message of theirs is stored any more.</p>
      <fieldset class="choices">
        <legend>How long</legend>
        {TIMES.map(([label], index) => (
          <label key={label}>
            <input type="radio" name="time" checked={index === chosen} onChange={() => setChosen(index)} />
            {label}
          </label>
        ))}
      </fieldset>
      <Field label="Reason" value={reason} onInput={setReason} maxLength={1000} hint="Optional. The user gets to read it." />
    </FormDialog>
  );
}

function Sockets({ session, known, onChange }: { session: Session; known: Known; onChange: () => void }) {
  const api = session.api.value!;
  const kick = (id: string) =>
    void api.send("POST", path`/sockets/${id}/kick`).then(
      () => {
        session.toast("The socket was disconnected.");
        onChange();
      },
      (error: unknown) => session.toast(explain(error), true),
    );
  const hidden = (known.user?.sockets ?? 0) - known.sockets.length;
  return (
    <section aria-labelledby="sockets">
      <h2 id="sockets">Sockets</h2>
      <div class="table-box" tabIndex={0} role="region" aria-label="Table of sockets">
        <table>
          <thead>
            <tr>
              <th scope="col">Socket</th>
              <th scope="col">Instance</th>
              <th scope="col">Rooms</th>
              {session.may("admin") && (
                <th scope="col">
                  <span class="sr-only">Actions</span>
                </th>
              )}
            </tr>
          </thead>
          <tbody>
            {known.sockets.map((socket) => (
              <tr key={socket.id}>
                <th scope="row">
                  <code>{socket.id}</code>
                </th>
                <td>
                  <code>{socket.instanceId}</code>
                </td>
                <td>
                  <ul class="inline">
                    {socket.rooms.slice(0, MAX_ROOMS).map((room) => (
                      <li key={room}>
                        <a href={roomLink(room)}>
                          <bdi>{room}</bdi>
                        </a>
                      </li>
                    ))}
                    {socket.roomsCount === 0 && <li class="quiet">none</li>}
                    {socket.roomsCount > MAX_ROOMS && <li class="quiet">and {socket.roomsCount - MAX_ROOMS} others</li>}
                  </ul>
                </td>
                {session.may("admin") && (
                  <td class="is-number">
                    <IconButton icon="kick" label={`Kick socket ${socket.id}`} onClick={() => kick(socket.id)} />
                  </td>
                )}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {hidden > 0 && <p class="quiet">and {count(hidden, "other socket")}</p>}
    </section>
  );
}

/** A direct message from the server. */
function Direct({ session, name }: { session: Session; name: string }) {
  const [text, setText] = useState("");
  const { isBusy, error, run } = useWork();
  const send = async (event: SubmitEvent) => {
    event.preventDefault();
    const isDone = await run(async () => {
      await session.api.value!.send("POST", path`/users/${name}/messages`, { message: { textMessage: text } });
      session.toast("The message was sent.");
    });
    if (isDone) setText("");
  };
  return (
    <section aria-labelledby="direct">
      <h2 id="direct">Send a direct message</h2>
      <form class="add-name" onSubmit={(event) => void send(event)}>
        <Field label="Message from the server" value={text} onInput={setText} error={error} isHidden />
        <Button type="submit" disabled={isBusy || text === ""}>
          Send
        </Button>
      </form>
    </section>
  );
}
