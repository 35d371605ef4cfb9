/** A room: its state in the head, and a tab for each side of it. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";

import { ApiError, path } from "../state/api.js";
import { RoomEvents } from "../state/events.js";
import type { RoomStatus } from "../state/records.js";
import { go, roomLink, type Tab, TABS } from "../state/route.js";
import type { Session } from "../state/session.js";
import { count, explain, isolated, number } from "../state/texts.js";
import { FormDialog } from "./dialog.js";
import { Icon } from "./icons.js";
import { Members } from "./members.js";
import { Messages } from "./messages.js";
import { Names } from "./names.js";
import { Button, DetailPage, Field, Name, UserLink, useRepeated } from "./parts.js";
import { RoomSettings } from "./room_settings.js";
import { EventLog } from "./event_log.js";

/** Time in ms between two readings of the room's state. */
const EVERY = 5_000;
/** Time in ms from an event to a reading. */
const AFTER_EVENTS = 1_000;

const LABELS: Record<Tab, string> = {
  members: "Members",
  messages: "Messages",
  events: "Live events",
  lists: "Access lists",
  settings: "Settings",
};

export function RoomPage({ session, name, tab }: { session: Session; name: string; tab: Tab }) {
  const api = session.api.value!;
  const [room, setRoom] = useState<RoomStatus | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [isGone, setGone] = useState(false);
  const events = useMemo(() => new RoomEvents(api, name), [api, name]);
  const isThere = room !== null;
  useEffect(() => {
    if (!isThere) return;
    void events.run();
    let timer: ReturnType<typeof setTimeout> | undefined;
    // What an event changes is read once for all that come together.
    const stop = events.listen(() => {
      timer ??= setTimeout(() => {
        timer = undefined;
        load();
      }, AFTER_EVENTS);
    });
    return () => {
      stop();
      clearTimeout(timer);
      events.close();
    };
  }, [events, isThere]);
  const read = async () => {
    try {
      setRoom(await api.get<RoomStatus>(path`/rooms/${name}`));
      setProblem(null);
      setGone(false);
    } catch (error) {
      setGone(error instanceof ApiError && error.code === "noRoom");
      setProblem(explain(error));
    }
  };
  const load = () => void read();
  useRepeated(load, EVERY);
  return (
    <DetailPage
      list="Rooms"
      link="#/rooms"
      name={name}
      actions={room && !isGone && <Actions session={session} name={name} onChange={load} />}
      problem={problem}
      onRetry={load}
      isLoading={!room && !problem}
    >
      {room && !isGone && (
        <>
          <Facts room={room} events={events} />
          <Tabs name={name} tab={tab} />
          <div role="tabpanel" id="panel" class="panel" aria-labelledby={`tab-${tab}`} key={tab}>
            {tab === "members" && <Members session={session} room={room} events={events} />}
            {tab === "messages" && <Messages session={session} name={name} events={events} />}
            {tab === "events" && <EventLog events={events} />}
            {tab === "lists" && <AccessLists session={session} room={room} />}
            {tab === "settings" && <RoomSettings session={session} room={room} onChange={load} />}
          </div>
        </>
      )}
    </DetailPage>
  );
}

const STREAM = { connecting: "Connecting…", live: "Live", waiting: "Connecting again…", ended: "Not live" } as const;

function Facts({ room, events }: { room: RoomStatus; events: RoomEvents }) {
  const state = events.state.value;
  return (
    <ul class="badges" aria-label="State of the room">
      <li class={state === "live" ? "badge good" : "badge"} title={events.problem.value ?? ""}>
        {STREAM[state]}
      </li>
      <li class="badge">{count(room.membersCount, "member")}</li>
      <li class="badge">{count(room.lastMessageId, "message")}</li>
      <li class="badge">
        {number(room.historySize)} of {number(room.historyMaxSize)} stored
      </li>
      {room.whitelistOnly && (
        <li class="badge">
          <Icon name="lock" /> Whitelist only
        </li>
      )}
      <li class="badge">
        Owner:{" "}
        {room.owner === null ? (
          "none"
        ) : (
          <UserLink name={room.owner} />
        )}
      </li>
    </ul>
  );
}

/** Arrows move between tabs, as everywhere. */
function Tabs({ name, tab }: { name: string; tab: Tab }) {
  const list = useRef<HTMLDivElement>(null);
  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, Home: -TABS.indexOf(tab), End: TABS.length - 1 - TABS.indexOf(tab) };
    const by = step[event.key as keyof typeof step];
    if (by === undefined) return;
    event.preventDefault();
    const next = TABS[(TABS.indexOf(tab) + by + TABS.length) % TABS.length]!;
    go(roomLink(name, next));
    list.current?.querySelector<HTMLElement>(`#tab-${next}`)?.focus();
  };
  return (
    <div ref={list} role="tablist" class="tabs" aria-label="About the room" onKeyDown={onKeyDown}>
      {TABS.map((each) => (
        <a
          key={each}
          id={`tab-${each}`}
          role="tab"
          href={roomLink(name, each)}
          aria-selected={each === tab}
          aria-controls={each === tab ? "panel" : undefined}
          tabIndex={each === tab ? 0 : -1}
        >
          {LABELS[each]}
        </a>
      ))}
    </div>
  );
}

function AccessLists({ session, room }: { session: Session; room: RoomStatus }) {
  return (
    <div class="columns">
      <Names
        session={session}
        place={path`/rooms/${room.name}/lists/adminlist`}
        title="Admin list"
        hint="Users who may change the lists and settings of the room."
      />
      <Names
        session={session}
        place={path`/rooms/${room.name}/lists/blacklist`}
        title="Blacklist"
        hint="Users who may not join."
      />
      <Names
        session={session}
        place={path`/rooms/${room.name}/lists/whitelist`}
        title="Whitelist"
        hint={room.whitelistOnly ? "Only these may join." : "Has no effect while everybody may join."}
      />
    </div>
  );
}

function Actions({ session, name, onChange }: { session: Session; name: string; onChange: () => void }) {
  const api = session.api.value!;
  const [asked, setAsked] = useState<"delete" | "sync" | null>(null);
  const [typed, setTyped] = useState("");
  if (!session.may("admin")) return null;
  const close = () => setAsked(null);
  return (
    <div class="actions">
      <Button icon="refresh" onClick={() => setAsked("sync")}>
        Repair
      </Button>
      <Button
        icon="trash"
        kind="danger"
        onClick={() => {
          setTyped("");
          setAsked("delete");
        }}
      >
        Delete
      </Button>
      {asked === "sync" && (
        <FormDialog
          session={session}
          title="Repair the room"
          action="Repair"
          onClose={close}
          onSubmit={async () => {
            await api.send("POST", path`/rooms/${name}/sync`);
            session.toast("The room was repaired.");
            onChange();
          }}
        >
          <p>Members without a live socket, or without access, are removed from the room.</p>
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
          canSubmit={typed === name}
          onClose={close}
          onSubmit={async () => {
            await api.send("DELETE", path`/rooms/${name}`);
            session.toast(`${isolated(name)} was deleted.`);
            go("#/rooms");
          }}
        >
          <p>All members leave the room, and its messages and lists are lost. This cannot be undone.</p>
          <Field label="Type the name of the room" value={typed} onInput={setTyped} autoFocus />
        </FormDialog>
      )}
    </div>
  );
}
