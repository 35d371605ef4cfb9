/** Renews a login that is about to expire, with fresh credentials and in several attempts. */

import { ChatError } from "./errors.js";

/** Attempts for one notice; the pause after each failed one is twice as long as the one before. */
const ATTEMPTS = 4;

/** What a refresh needs, and whom it tells. Times in milliseconds. */
export interface RefreshHost {
  /** Get fresh credentials from the application. */
  credentials(): unknown;
  /** Send them, and resolve with the new end of the login. */
  refresh(credentials: unknown): Promise<number | null>;
  onRefreshed(expiresAt: number | null): void;
  onFailed(error: unknown, willRetry: boolean): void;
  /** How long the credentials may take. */
  readonly timeout: number;
  /** The pause after the first failed attempt. */
  readonly delay: number;
}

export class LoginRefresh {
  readonly #host: RefreshHost;
  /** Counts the connections: what belongs to an earlier one is given up. */
  #connection = 0;
  #askedAt = -Infinity;
  #nextAttempt: ReturnType<typeof setTimeout> | undefined;
  #credentialsLimit: ReturnType<typeof setTimeout> | undefined;

  constructor(host: RefreshHost) {
    this.#host = host;
  }

  /** The login expires in so many seconds: renew it. */
  onExpiring(seconds: number): void {
    // Logins that are shorter than the server's notice bring a notice with each refresh, which must not become a loop.
    const isShort = performance.now() - this.#askedAt < seconds * 1000;
    this.#plan(isShort ? Math.max(seconds * 500, this.#host.delay) : 0, 1);
  }

  /** The connection is lost or closed. The next one logs in with fresh credentials anyway. */
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
