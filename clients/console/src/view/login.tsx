/** Nothing is shown without a token. */

import { useState } from "preact/hooks";

import { ApiError } from "../state/api.js";
import type { Session } from "../state/session.js";
import { Icon } from "./icons.js";
import { Button, Field, useWork } from "./parts.js";

export function Login({ session }: { session: Session }) {
  const [text, setText] = useState("");
  const [isEmpty, setEmpty] = useState(false);
  const { isBusy, error, run } = useWork();
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const token = text.trim();
    setEmpty(token === "");
    if (token !== "") void run(() => session.login(token).catch(betterError));
  };
  return (
    <main class="login">
      <form onSubmit={submit} noValidate>
        <span class="logo">
          <Icon name="chart" />
        </span>
        <h1>Console</h1>
        <p class="quiet">For operators of this chat service.</p>
        {session.reason.value && !error && (
          <p class="failure" role="alert">
            {session.reason.value}
          </p>
        )}
        <Field
          label="Token"
          type="password"
          value={text}
          onInput={(value) => {
            setText(value);
            setEmpty(false);
          }}
          error={isEmpty ? "Enter a token of the HTTP API." : error}
          hint="A token of the HTTP API with the scope read, or admin for everything. It is kept until this tab is closed."
          autoFocus
        />
        <Button type="submit" kind="primary" disabled={isBusy}>
          {isBusy ? "Signing in…" : "Sign in"}
        </Button>
      </form>
    </main>
  );
}

function betterError(error: unknown): never {
  if (error instanceof ApiError && error.status === 403) {
    throw new ApiError(403, error.code, "The console needs a token with the scope read");
  }
  throw error;
}
