/** Logging in with a password, at a provider, or with a token: whatever the server takes. */

import { useState } from "preact/hooks";

import { explainLogin, explainReturn, LoginProblem, nameIn } from "../state/logins.js";
import type { Chat } from "../state/session.js";
import { explain } from "../state/texts.js";
import { Icon } from "./icons.js";
import { Field } from "./parts.js";
import { Toasts } from "./toasts.js";

const MAX_NAME = 256;
const MAX_PASSWORD = 1024;
const MAX_TOKEN = 8192;

export function SignInView({ chat }: { chat: Chat }) {
  const { kinds, label } = chat.logins.state.value;
  const [error, setError] = useState(chat.logins.problem === null ? null : explainReturn(chat.logins.problem));
  const [isBusy, setBusy] = useState(false);
  const begin = async (kind: "password" | "token", credentials: Record<string, string>) => {
    setBusy(true);
    setError(null);
    try {
      await chat.login(await chat.logins.begin(kind, credentials));
    } catch (problem) {
      setError(problem instanceof LoginProblem || problem instanceof TypeError ? explainLogin(problem) : explain(problem));
      setBusy(false);
    }
  };
  const parts = { begin, isBusy };
  return (
    <main class="login">
      <Toasts chat={chat} />
      <div class="sign-in">
        <span class="logo">
          <Icon name="chat" />
        </span>
        <h1>Log in to the chat</h1>
        {error !== null && (
          <p class="error" role="alert">
            {error}
          </p>
        )}
        {kinds.includes("password") && <PasswordForm {...parts} />}
        {kinds.includes("oidc") && (
          <a class={kinds.includes("password") ? "button" : "button primary"} href="/login/oidc">
            Log in with {label}
          </a>
        )}
        {kinds.includes("jwt") && <TokenForm chat={chat} {...parts} />}
      </div>
    </main>
  );
}

interface FormProps {
  begin: (kind: "password" | "token", credentials: Record<string, string>) => Promise<void>;
  isBusy: boolean;
}

function PasswordForm({ begin, isBusy }: FormProps) {
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (name.trim() !== "" && password !== "") void begin("password", { name: name.trim(), password });
  };
  return (
    <form onSubmit={submit} noValidate>
      <Field label="Name" value={name} maxLength={MAX_NAME} autoFocus autoComplete="username" onInput={setName} />
      <Field
        label="Password"
        type="password"
        value={password}
        maxLength={MAX_PASSWORD}
        autoComplete="current-password"
        onInput={setPassword}
      />
      <button type="submit" class="primary" disabled={isBusy}>
        {isBusy ? "Logging in…" : "Log in"}
      </button>
    </form>
  );
}

function TokenForm({ chat, begin, isBusy }: FormProps & { chat: Chat }) {
  const given = chat.logins.token;
  const [token, setToken] = useState("");
  const { loginUrl } = chat.logins.state.value;
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const chosen = given || token.trim();
    if (chosen !== "") void begin("token", { token: chosen });
  };
  if (given !== "") {
    // Not by itself: a foreign page could log its visitors in as somebody else.
    return (
      <form onSubmit={submit}>
        <button type="submit" class="primary" disabled={isBusy}>
          Enter as {nameIn(given) ?? "a guest"}
        </button>
      </form>
    );
  }
  return (
    <>
      {loginUrl !== null && (
        <a class="button" href={loginUrl}>
          Log in at {new URL(loginUrl).host}
        </a>
      )}
      <form onSubmit={submit} noValidate>
        <Field label="Token" value={token} maxLength={MAX_TOKEN} autoComplete="off" onInput={setToken} />
        <button type="submit" disabled={isBusy}>
          Enter with a token
        </button>
      </form>
    </>
  );
}
