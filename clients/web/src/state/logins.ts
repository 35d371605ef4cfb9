/** How people log in, as the server says: by a name alone (the demo), or with a session in a cookie. */

import { signal } from "@preact/signals";

export type Kind = "name" | "password" | "oidc" | "jwt";

interface State {
  kinds: Kind[];
  /** Who is logged in in this browser. */
  user: string | null;
  /** The name of the OpenID provider. */
  label: string;
  /** The page that gives out tokens. */
  loginUrl: string | null;
}

/** Why the server does not log somebody in. */
export class LoginProblem extends Error {
  constructor(
    readonly code: string,
    readonly seconds = 0,
  ) {
    super(code);
  }
}

const BY_NAME: State = { kinds: ["name"], user: null, label: "", loginUrl: null };

const TEXTS: Record<string, string> = {
  badLogin: "The name or the password is wrong.",
  badToken: "This token is not valid, or it has expired.",
  noSession: "Your session has ended. Please log in again.",
  otherUser: "Somebody else has logged in in this browser. Please log in again.",
  providerFailed: "The login at the provider did not work. Please try again.",
  busy: "Many people are logging in right now. Please try again.",
};

export function explainLogin(problem: unknown): string {
  if (!(problem instanceof LoginProblem)) return "The server cannot be reached.";
  if (problem.code === "tooManyAttempts") return `Too many attempts. Try again in ${problem.seconds} seconds.`;
  return TEXTS[problem.code] ?? "The login did not work.";
}

/** The text for a problem with which the browser comes back from a provider. */
export const explainReturn = (code: string): string =>
  code === "badLogin" ? "You were not logged in." : explainLogin(new LoginProblem(code));

export class Logins {
  readonly state = signal<State>(BY_NAME);
  /** A problem with which somebody has come back from a provider. */
  problem: string | null = null;
  /** A token that another page has handed over. */
  token = "";
  readonly #url: string;

  constructor(url = "") {
    this.#url = url;
  }

  get isByName(): boolean {
    return this.state.value.kinds.includes("name");
  }

  /** Ask the server, and take from the address what other pages have put there. */
  async load(): Promise<void> {
    const response = await fetch(`${this.#url}/login/state`);
    if (response.ok) this.state.value = (await response.json()) as State;
    if (this.isByName) return;
    const here = new URL(location.href);
    const fragment = new URLSearchParams(here.hash.slice(1));
    this.problem = here.searchParams.get("problem");
    this.token = fragment.get("token") ?? "";
    if (this.problem === null && this.token === "") return;
    here.searchParams.delete("problem");
    if (this.token !== "") here.hash = "";
    // Neither stays in the address, where others could see it.
    history.replaceState(history.state, "", here);
  }

  /** Begin a session. Returns the user; rejects with a `LoginProblem`. */
  async begin(kind: "password" | "token", credentials: Record<string, string>): Promise<string> {
    const { user } = (await this.#post(kind, credentials)) as { user: string };
    this.state.value = { ...this.state.value, user };
    return user;
  }

  /** What a socket of a user logs in with. Rejects with a `LoginProblem`. */
  async auth(user: string): Promise<Record<string, unknown>> {
    if (this.isByName) return { userName: user };
    const found = (await this.#post("ticket", {})) as { ticket: string; user: string };
    // Another tab may have logged in somebody else.
    if (found.user !== user) throw new LoginProblem("otherUser");
    return { ticket: found.ticket };
  }

  /** End the session in this browser. */
  async end(): Promise<void> {
    this.state.value = { ...this.state.value, user: null };
    if (!this.isByName) await this.#post("logout", {});
  }

  async #post(what: string, content: unknown): Promise<unknown> {
    const response = await fetch(`${this.#url}/login/${what}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(content),
    });
    if (response.ok) return response.json();
    const { error = "failed", seconds = 0 } = (await response.json().catch(() => ({}))) as {
      error?: string;
      seconds?: number;
    };
    throw new LoginProblem(error, seconds);
  }
}

/** The name in a token, to show who somebody becomes. The server checks the token. */
export function nameIn(token: string): string | null {
  try {
    const text = atob(token.split(".")[1]!.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(text, (char) => char.charCodeAt(0));
    const { sub } = JSON.parse(new TextDecoder().decode(bytes)) as { sub?: unknown };
    return typeof sub === "string" ? sub : null;
  } catch {
    return null;
  }
}
