/** Dialogs outside conversations: a new room, a new direct message, the user's settings. */

import { useState } from "preact/hooks";

import type { Permission } from "../state/notifier.js";
import { compareNames } from "../state/order.js";
import { knownPeople } from "../state/people.js";
import type { Chat } from "../state/session.js";
import { explain, MAX_ROOM_NAME, MAX_USER_NAME, tooLong } from "../state/texts.js";
import { applyTheme } from "../theme.js";
import { savedTheme, type Theme } from "../state/storage.js";
import { Dialog } from "./dialog.js";
import { Field, Switch } from "./parts.js";

interface DialogProps {
  chat: Chat;
  onClose: () => void;
}

export function CreateRoomDialog({ chat, onClose }: DialogProps) {
  const [name, setName] = useState("");
  const [isClosed, setClosed] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const wanted = name.trim();
    if (wanted === "") return setError("Please enter a name for the room.");
    if (tooLong(wanted, MAX_ROOM_NAME)) return; // the field shows the error
    try {
      await chat.createRoom(wanted, isClosed);
    } catch (problem) {
      return setError(explain(problem));
    }
    onClose();
    await chat.attempt(chat.openRoom(wanted));
  };
  return (
    <Dialog chat={chat} title="Create a room" onClose={onClose}>
      <form onSubmit={(event) => void submit(event)} noValidate>
        <Field
          label="Name of the room"
          value={name}
          maxLength={MAX_ROOM_NAME}
          error={error}
          autoFocus
          onInput={(value) => {
            setName(value);
            setError(null);
          }}
        />
        <Switch
          label="Only invited people"
          hint="You choose who may join. Everyone can see the name of the room."
          checked={isClosed}
          onChange={setClosed}
        />
        <div class="actions">
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="primary">
            Create
          </button>
        </div>
      </form>
    </Dialog>
  );
}

export function NewDirectDialog({ chat, onClose }: DialogProps) {
  const [name, setName] = useState("");
  const [error, setError] = useState<string | null>(null);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const peer = name.trim();
    if (peer === "") return setError("Please enter a name.");
    if (tooLong(peer, MAX_USER_NAME)) return;
    if (peer === chat.userName.value) return setError("That is your own name.");
    onClose();
    // After the dialog has restored the focus, so that the focus moves to the composer.
    setTimeout(() => chat.openDirect(peer));
  };
  const people = knownPeople(chat.conversations.value, chat.userName.value);
  return (
    <Dialog chat={chat} title="New direct message" onClose={onClose}>
      <form onSubmit={submit} noValidate>
        <Field
          label="To"
          value={name}
          maxLength={MAX_USER_NAME}
          error={error}
          hint="People who are away find your message when they come back."
          autoFocus
          list={people.sort(compareNames)}
          onInput={(value) => {
            setName(value);
            setError(null);
          }}
        />
        <div class="actions">
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="primary">
            Open
          </button>
        </div>
      </form>
    </Dialog>
  );
}

const THEMES: Record<Theme, string> = { system: "Same as system", light: "Light", dark: "Dark" };

export function PreferencesDialog({ chat, onClose }: DialogProps) {
  const [theme, setTheme] = useState(savedTheme.get());
  const choose = (wanted: Theme) => {
    savedTheme.set(wanted);
    applyTheme();
    setTheme(wanted);
  };
  return (
    <Dialog chat={chat} title="Your settings" onClose={onClose}>
      <p>
        You are <strong dir="auto">{chat.userName.value}</strong>.
      </p>
      <fieldset class="choices">
        <legend>Appearance</legend>
        {(Object.keys(THEMES) as Theme[]).map((value) => (
          <label key={value}>
            <input type="radio" name="theme" checked={theme === value} onChange={() => choose(value)} />
            {THEMES[value]}
          </label>
        ))}
      </fieldset>
      <NotificationSwitch chat={chat} />
      <div class="actions">
        <button
          type="button"
          onClick={() => {
            onClose();
            setTimeout(() => (chat.overlay.value = { kind: "keys" }));
          }}
        >
          Keyboard shortcuts
        </button>
        <button
          type="button"
          class="danger"
          onClick={() => {
            onClose();
            chat.signOut();
          }}
        >
          Sign out
        </button>
      </div>
    </Dialog>
  );
}

const HINTS: Record<Permission, string> = {
  default: "When a message arrives and you look elsewhere. Your browser will ask you.",
  granted: "When a message arrives and you look elsewhere. Mute a conversation in its menu.",
  denied: "Your browser blocks them. Allow them in its settings for this page.",
  unsupported: "Your browser does not show them for this page.",
};

function NotificationSwitch({ chat }: { chat: Chat }) {
  const { notifier, preferences } = chat;
  const permission = notifier.permission.value;
  return (
    <Switch
      label="Notifications on the desktop"
      hint={HINTS[permission]}
      checked={preferences.notifies.value && permission === "granted"}
      disabled={permission === "denied" || permission === "unsupported"}
      onChange={(on) => void chat.attempt(notifier.turn(on))}
    />
  );
}
