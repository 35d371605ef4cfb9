/**
 * Search in a conversation. The protocol has no search on the server, so the page searches what it has loaded, and loads
 * older messages in steps when it is asked to.
 */

import { computed, signal } from "@preact/signals";

import type { Conversation } from "./conversation.js";
import { contains, terms } from "./matching.js";
import type { MessageItem } from "./timeline.js";

/** The maximum number of pages of the history that one step loads. */
const STEP_PAGES = 20;
/** The maximum number of messages that are shown. */
const MAX_FOUND = 200;

export class Search {
  readonly query = signal("");
  readonly words = computed(() => terms(this.query.value));
  readonly isRunning = signal(false);
  /** Whether the last step ended because older messages could not be loaded. */
  readonly hasFailed = signal(false);
  readonly #messages = computed(() =>
    this.conversation.items.value.filter((item): item is MessageItem => item.kind === "message"),
  );
  readonly #all = computed(() => {
    const words = this.words.value;
    return words.length === 0 ? [] : this.#messages.value.filter((item) => contains(item, words));
  });
  /** The number of all messages found. */
  readonly total = computed(() => this.#all.value.length);
  /** The newest ones, newest first. */
  readonly found = computed(() => this.#all.value.slice(-MAX_FOUND).reverse());
  /** The number of messages searched, and the time of the oldest. */
  readonly searched = computed(() => this.#messages.value.length);
  readonly since = computed(() => this.#messages.value[0]?.timestamp ?? null);
  #isStopped = false;

  constructor(readonly conversation: Conversation) {}

  /** Load and search older messages: a limited number, so that a long history does not fill the memory unasked. */
  async searchOlder(): Promise<void> {
    if (this.isRunning.value) return;
    this.#isStopped = false;
    this.hasFailed.value = false;
    this.isRunning.value = true;
    try {
      for (let page = 0; page < STEP_PAGES && this.#mayGoOn(); page++) {
        const before = this.conversation.items.value[0];
        await this.conversation.loadOlder();
        if (this.conversation.items.value[0] === before && this.#mayGoOn()) {
          this.hasFailed.value = true;
          return;
        }
      }
    } finally {
      this.isRunning.value = false;
    }
  }

  stop(): void {
    this.#isStopped = true;
  }

  #mayGoOn(): boolean {
    return !this.#isStopped && this.conversation.hasOlder.value;
  }
}
