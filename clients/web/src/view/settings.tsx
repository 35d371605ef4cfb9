/** The settings of a room: its owner and admins can change them, everyone can see them. */

import { useState } from "preact/hooks";

import { compareNames } from "../state/order.js";
import type { ListName, RoomConversation } from "../state/room.js";
import type { Chat } from "../state/session.js";
import { explain, isolated, MAX_USER_NAME, tooLong } from "../state/texts.js";
import { Dialog } from "./dialog.js";
import { Field, IconButton, Switch } from "./parts.js";

const LISTS: Record<ListName, { title: string; hint: string; add: string }> = {
  whitelist: {
    title: "Invited people",
    hint: "They may join while the room is for invited people only.",
    add: "Invite",
  },
  blacklist: { title: "Blocked people", hint: "They cannot join, and are removed immediately.", add: "Block" },
  adminlist: { title: "Admins", hint: "They may always join, and change these settings.", add: "Make admin" },
};

export function RoomSettings({ chat, room, onClose }: { chat: Chat; room: RoomConversation; onClose: () => void }) {
  const [question, setQuestion] = useState<"close" | "delete" | null>(null);
  const isAdmin = room.isAdmin.value;
  const setMode = (whitelistOnly: boolean) => {
    if (whitelistOnly && room.notInvited().length > 0) return setQuestion("close");
    void chat.attempt(room.setMode(whitelistOnly));
  };
  return (
    <Dialog chat={chat} title={<>Settings of <bdi>{room.name}</bdi></>} onClose={onClose}>
      <p class="hint">{whoMay(room)}</p>
      <Switch
        label="Only invited people"
        hint="Others cannot join. The owner and admins always can."
        checked={room.whitelistOnly.value}
        disabled={!isAdmin}
        onChange={setMode}
      />
      {question === "close" && (
        <Question
          text={`These people are not invited and will be removed immediately: ${room.notInvited().map(isolated).join(", ")}.`}
          yes="Close the room"
          onYes={() => chat.attempt(room.setMode(true))}
          onEnd={() => setQuestion(null)}
        />
      )}
      {(Object.keys(LISTS) as ListName[]).map((list) => (
        <AccessList
          key={list}
          chat={chat}
          room={room}
          list={list}
          mayChange={list === "adminlist" ? room.isOwner.value : isAdmin}
        />
      ))}
      {room.isOwner.value && (
        <div class="actions">
          <button type="button" class="danger" onClick={() => setQuestion("delete")}>
            Delete the room
          </button>
        </div>
      )}
      {question === "delete" && (
        <Question
          text={`Everyone is removed from ${isolated(room.name)}, and all its messages are deleted.`}
          yes="Delete permanently"
          onYes={async () => {
            if (await chat.attempt(room.delete())) onClose();
          }}
          onEnd={() => setQuestion(null)}
        />
      )}
    </Dialog>
  );
}

function whoMay(room: RoomConversation): string {
  const owner = room.owner.value;
  if (owner === null) return "Nobody owns this room, so its settings cannot be changed.";
  if (room.isOwner.value) return "You own this room.";
  return room.isAdmin.value ? `You are an admin of this room. ${isolated(owner)} owns it.` : `${isolated(owner)} owns this room.`;
}

/** Asks for confirmation before an action that cannot be undone. */
function Question(props: { text: string; yes: string; onYes: () => Promise<unknown>; onEnd: () => void }) {
  return (
    <div class="question" role="alert">
      <p>{props.text}</p>
      <button type="button" onClick={props.onEnd}>
        Cancel
      </button>
      <button type="button" class="danger" onClick={() => void props.onYes().then(props.onEnd)}>
        {props.yes}
      </button>
    </div>
  );
}

interface AccessListProps {
  chat: Chat;
  room: RoomConversation;
  list: ListName;
  mayChange: boolean;
}

function AccessList({ chat, room, list, mayChange }: AccessListProps) {
  const [name, setName] = useState("");
  const [error, setError] = useState<string | null>(null);
  const { title, hint, add } = LISTS[list];
  const names = [...room.lists.value[list]].sort(compareNames);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const wanted = name.trim();
    if (wanted === "") return setError("Please enter a name.");
    if (tooLong(wanted, MAX_USER_NAME)) return;
    try {
      await room.addToList(list, wanted);
      setName("");
    } catch (problem) {
      setError(explain(problem));
    }
  };
  return (
    <section class="access-list" aria-label={title}>
      <h3>{title}</h3>
      <p class="hint">{hint}</p>
      {names.length > 0 && (
        <ul class="chips">
          {names.map((item) => (
            <li key={item}>
              <bdi>{item}</bdi>
              {mayChange && (
                <IconButton
                  icon="close"
                  label={`Remove ${item} from: ${title}`}
                  onClick={() => void chat.attempt(room.removeFromList(list, item))}
                />
              )}
            </li>
          ))}
        </ul>
      )}
      {mayChange && (
        <form class="add" onSubmit={(event) => void submit(event)} noValidate>
          <Field
            label={`${add}: name`}
            placeholder="Name"
            value={name}
            maxLength={MAX_USER_NAME}
            error={error}
            list={[...room.members.value.keys()].filter((member) => !names.includes(member))}
            onInput={(value) => {
              setName(value);
              setError(null);
            }}
          />
          <button type="submit">{add}</button>
        </form>
      )}
    </section>
  );
}
