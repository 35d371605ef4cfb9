/** Notifications on the desktop about messages that arrive while the user looks elsewhere. */

import { signal } from "@preact/signals";

import type { Conversation } from "./conversation.js";
import type { Preferences } from "./preferences.js";
import { isolated } from "./texts.js";

/** The longest text in a notification, in characters. */
const MAX_TEXT = 200;

export type Permission = NotificationPermission | "unsupported";

export class Notifier {
  readonly permission = signal<Permission>(currentPermission());
  readonly #preferences: Preferences;
  readonly #open: (conversation: Conversation) => void;
  /** The notification of each conversation that is shown, so that there is one at most. */
  readonly #shown = new Map<Conversation, Notification>();

  /** `open`: shows the conversation whose notification was clicked. */
  constructor(preferences: Preferences, open: (conversation: Conversation) => void) {
    this.#preferences = preferences;
    this.#open = open;
  }

  /** Turn notifications on or off. Only after a click: browsers ignore pages that ask unprompted, and people block them. */
  async turn(on: boolean): Promise<void> {
    if (on && this.permission.value === "default") this.permission.value = await Notification.requestPermission();
    else this.permission.value = currentPermission();
    this.#preferences.setNotifies(on && this.permission.value === "granted");
    if (!on) this.clear();
  }

  /** A message has arrived. */
  tell(conversation: Conversation, author: string, text: string): void {
    if (!this.#preferences.notifies.value || currentPermission() !== "granted") return;
    if (this.#preferences.muted.value.has(conversation.key)) return;
    if (document.visibilityState === "visible" && document.hasFocus()) return;
    const { kind, key, name } = conversation;
    const title = kind === "room" ? `${isolated(author)} in ${isolated(name)}` : author;
    try {
      // The tag replaces an older notification of the conversation.
      const shown = new Notification(title, { body: [...text].slice(0, MAX_TEXT).join(""), tag: key, icon: "icon.svg" });
      this.#shown.set(conversation, shown);
      shown.onclick = () => {
        window.focus();
        shown.close();
        this.#open(conversation);
      };
      shown.onclose = () => {
        if (this.#shown.get(conversation) === shown) this.#shown.delete(conversation);
      };
    } catch {
      // On Android, only service workers may show them.
      this.permission.value = "unsupported";
    }
  }

  /** Close the notification of a conversation that the user looks at, or all of them. */
  clear(conversation?: Conversation): void {
    for (const [key, shown] of [...this.#shown]) {
      if (conversation !== undefined && key !== conversation) continue;
      this.#shown.delete(key);
      shown.close();
    }
  }
}

function currentPermission(): Permission {
  return "Notification" in window ? Notification.permission : "unsupported";
}
