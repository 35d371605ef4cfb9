/** Renews a login that is about to expire with fresh credentials, in several attempts. */

import { ChatError } from "./errors.js";

/** Attempts per notice. The delay doubles after each failed attempt. */
const ATTEMPTS = 4;

/** What a refresh needs, and its callbacks. Times in milliseconds. */
export interface RefreshHost {
  /** Get fresh credentials from the application. */
  credentials(): unknown;
  /** Send them, and resolve with the new expiry time of the login. */
  refresh(credentials: unknown): Promise<number | null>;
  onRefreshed(expiresAt: number | null): void;
  onFailed(error: unknown, willRetry: boolean): void;
  /** How long to wait for the credentials. */
  readonly timeout: number;
  /** The delay after the first failed attempt. */
  readonly delay: number;
}

export class LoginRefresh {
  readonly #host: RefreshHost;
  /** Counts the connections, so that attempts of an earlier connection are dropped. */
  #connection = 0;
  #askedAt = -Infinity;
  #nextAttempt: ReturnType<typeof setTimeout> | undefined;
  #credentialsLimit: ReturnType<typeof setTimeout> | undefined;

  constructor(host: RefreshHost) {
    this.#host = host;
  }

  /** Renew the login, which expires in this number of seconds. */
  onExpiring(seconds: number): void {
    // If logins are shorter than the server's notice period, each refresh triggers another notice. Avoid a busy loop.
    const isShort = performance.now() - this.#askedAt < seconds * 1000;
    this.#plan(isShort ? Math.max(seconds * 500, this.#host.delay) : 0, 1);
  }

  /** Stop, because the connection is lost or closed. The next one logs in with fresh credentials anyway. */
  stop(): void {
    this.#connection += 1;
    this.#askedAt = -Infinity;
    clearTimeout(this.#nextAttempt);
    clearTimeout(this.#credentialsLimit);
  }

  #plan(pause: number, attempt: number): void {
    clearTimeout(this.#nextAttempt);
    this.#nextAttempt = setTimeout(() => void this.#try(attempt), pause);
  }

  async #try(attempt: number): Promise<void> {
    const connection = this.#connection;
    this.#askedAt = performance.now();
    try {
      const credentials = await this.#freshCredentials();
      if (connection !== this.#connection) return;
      const expiresAt = await this.#host.refresh(credentials);
      if (connection === this.#connection) this.#host.onRefreshed(expiresAt);
    } catch (error) {
      if (connection !== this.#connection) return;
      const willRetry = attempt < ATTEMPTS;
      if (willRetry) this.#plan(this.#host.delay * 2 ** (attempt - 1), attempt + 1);
      this.#host.onFailed(error, willRetry);
    }
  }

  #freshCredentials(): Promise<unknown> {
    return new Promise((resolve, reject) => {
      clearTimeout(this.#credentialsLimit);
      const limit = setTimeout(() => reject(new ChatError("noAnswer", ["the auth function"])), this.#host.timeout);
      this.#credentialsLimit = limit;
      void Promise.resolve()
        .then(() => this.#host.credentials())
        .then(resolve, reject)
        .finally(() => clearTimeout(limit));
    });
  }
}
