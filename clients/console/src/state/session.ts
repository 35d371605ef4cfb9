/** Who uses the console: the token and what it may do. The token is kept for this tab alone. */

import { signal } from "@preact/signals";

import { Api, ApiError } from "./api.js";
import type { TokenInfo } from "./records.js";
import { explain } from "./texts.js";

const KEY = "chat-console-token";
/** Time in ms for which a notice stands. */
const NOTICE_TIME = 6_000;

export type Scope = "read" | "write" | "admin";

export interface Toast {
  id: number;
  text: string;
  isError: boolean;
}

export class Session {
  /** What makes requests; null before the login. */
  readonly api = signal<Api | null>(null);
  readonly token = signal<TokenInfo | null>(null);
  readonly isResuming = signal(true);
  /** Why the login page is shown, when that is not plain. */
  readonly reason = signal<string | null>(null);
  readonly toasts = signal<readonly Toast[]>([]);
  /** How many dialogs are open: the innermost shows the notices. */
  readonly dialogs = signal(0);
  private count = 0;

  /** `base`: where the API is. */
  constructor(private readonly base: URL) {}

  may(scope: Scope): boolean {
    return this.token.value?.scopes.includes(scope) ?? false;
  }

  /** Throws `ApiError` if the token cannot be used. */
  async login(text: string): Promise<void> {
    // What is no ASCII cannot stand in a header.
    if (!/^[\x21-\x7e]+$/.test(text)) throw new ApiError(0, "badToken", "This is not a token.");
    const api = new Api(this.base, text, (error) => this.onRefused(api, error));
    const token = await api.get<TokenInfo>("/token");
    sessionStorage.setItem(KEY, text);
    this.reason.value = null;
    this.token.value = token;
    this.api.value = api;
  }

  /** Log in again after a reload of the page. */
  async resume(): Promise<void> {
    const text = sessionStorage.getItem(KEY);
    try {
      if (text !== null) await this.login(text);
    } catch (error) {
      this.reason.value = explain(error);
    } finally {
      this.isResuming.value = false;
    }
  }

  logout(reason: string | null = null): void {
    sessionStorage.removeItem(KEY);
    this.api.value = null;
    this.token.value = null;
    this.toasts.value = [];
    this.reason.value = reason;
  }

  toast(text: string, isError = false): void {
    const id = (this.count += 1);
    this.toasts.value = [...this.toasts.value.slice(-2), { id, text, isError }];
    if (!isError) setTimeout(() => this.dismiss(id), NOTICE_TIME);
  }

  dismiss(id: number): void {
    this.toasts.value = this.toasts.value.filter((toast) => toast.id !== id);
  }

  private onRefused(api: Api, error: ApiError): void {
    if (this.api.value === api) this.logout(`The token was refused: ${error.message}.`);
  }
}
