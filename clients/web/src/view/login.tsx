/** Choosing a name; or logging in, where a name is not enough. */

import { useState } from "preact/hooks";

import type { Chat } from "../state/session.js";
import { lastName } from "../state/storage.js";
import { explain, MAX_USER_NAME, tooLong } from "../state/texts.js";
import { Icon } from "./icons.js";
import { Field } from "./parts.js";
import { SignInView } from "./sign-in.js";
import { Toasts } from "./toasts.js";

export function LoginView({ chat }: { chat: Chat }) {
  const [name, setName] = useState(lastName.get());
  const [error, setError] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const place = chat.place.value;
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const wanted = name.trim();
    if (wanted === "") return setError("Please choose a name.");
    if (tooLong(wanted, MAX_USER_NAME)) return; // the field shows the error
    setBusy(true);
    setError(null);
    try {
      await chat.login(wanted);
    } catch (problem) {
      setError(explain(problem));
      setBusy(false);
    }
  };
  if (!chat.logins.isByName) return <SignInView chat={chat} />;
  return (
    <main class="login">
      <Toasts chat={chat} />
      <form onSubmit={(event) => void submit(event)} noValidate>
        <span class="logo">
          <Icon name="chat" />
        </span>
        <h1>Join the chat</h1>
        <p class="lead">
          {place ? (
            <>
              You are invited to <bdi>{place.room}</bdi>.
            </>
          ) : (
            "Rooms with a history, people who are here right now, and direct messages."
          )}
        </p>
        <Field
          label="Your name"
          value={name}
          maxLength={MAX_USER_NAME}
          error={error}
          autoFocus
          autoComplete="nickname"
          onInput={(value) => {
            setName(value);
            setError(null);
          }}
        />
        <button type="submit" class="primary" disabled={isBusy}>
          {isBusy ? "Connecting…" : "Enter"}
        </button>
        <p class="hint">
          There are no passwords here, it is a demo. Come with the same name on another device, and both are you.
        </p>
      </form>
    </main>
  );
}
