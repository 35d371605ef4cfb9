/** What rooms and direct messages have in common. */

import { computed, effect, signal, type ReadonlySignal } from "@preact/signals";

import { savedUnsent } from "./storage.js";
import { newKey, type Item, type MessageItem } from "./timeline.js";

/** Why nobody can write in a conversation. */
export interface Closed {
  text: string;
  /** The name of a button that joins again; null when that would not help. */
  again: string | null;
}

const IN_DOUBT = "The page was closed before this was confirmed. Look whether it has arrived before you send it again.";

/** Milliseconds for which the server surely remembers an idempotency key. */
const KEYS_ARE_KEPT = 240_000;

export abstract class Conversation {
  abstract readonly kind: "room" | "direct";
  /** Of the room, or of the other person. */
  readonly name: string;
  readonly items = signal<Item[]>([]);
  /** Own messages that the server has not confirmed. */
  readonly outgoing = signal<MessageItem[]>([]);
  readonly unread = signal(0);
  /** The unread messages begin after this one, as long as the conversation is open. */
  readonly divider = signal<string | null>(null);
  readonly hasOlder = signal(false);
  /** Whether messages before the oldest one were not kept. */
  readonly isCut = signal(false);
  readonly isLoading = signal(false);
  /** What was written and not sent. */
  readonly draft = signal("");
  readonly closed = signal<Closed | null>(null);
  readonly timeline: ReadonlySignal<Item[]> = computed(() => [...this.items.value, ...this.outgoing.value]);

  constructor(name: string) {
    this.name = name;
  }

  get key(): string {
    return `${this.kind}:${this.name}`;
  }

  /** Send a message; what goes wrong is shown with it. */
  abstract send(text: string, sendKey?: string): void;

  abstract loadOlder(): Promise<void>;

  /** Everything shown has been seen. */
  abstract markRead(): void;

  /** Take up what was not sent before a reload, and keep it from now on. Returns a function that ends that. */
  keepUnsent(user: string): () => void {
    const { draft, outgoing } = savedUnsent.get(user, this.key);
    this.draft.value = draft;
    this.outgoing.value = outgoing.map(({ error, ...saved }) => ({
      kind: "message",
      key: newKey("o"),
      id: 0,
      author: user,
      sending: "failed",
      error: error ?? IN_DOUBT,
      isInDoubt: error === undefined,
      ...saved,
    }));
    this.settle();
    return effect(() => {
      const unsent = this.outgoing.value.map(({ text, timestamp, sendKey, after = 0, error, isInDoubt }) => ({
        text,
        timestamp,
        sendKey,
        after,
        error: isInDoubt ? undefined : error,
      }));
      savedUnsent.set(user, this.key, { draft: this.draft.value, outgoing: unsent });
    });
  }

  protected append(item: Item): void {
    this.items.value = [...this.items.value, item];
  }

  protected addOutgoing(author: string, text: string, after = 0, sendKey?: string): MessageItem {
    const item: MessageItem = {
      kind: "message",
      key: newKey("o"),
      id: 0,
      author,
      text,
      timestamp: Date.now(),
      sending: "waiting",
      sendKey,
      after,
    };
    this.outgoing.value = [...this.outgoing.value, item];
    return item;
  }

  protected fail(item: MessageItem, error: string): void {
    this.outgoing.value = this.outgoing.value.map((other) =>
      other.key === item.key ? { ...item, sending: "failed", error } : other,
    );
  }

  /** Of the messages in doubt, drop those that have arrived, as the items show. */
  protected settle(): void {
    let last = 0;
    for (const doubtful of this.outgoing.value.filter((item) => item.isInDoubt)) {
      const begin = Math.max(last, doubtful.after ?? 0);
      const arrived = this.items.value.find(
        (item) =>
          item.kind === "message" && item.id > begin && item.author === doubtful.author && item.text === doubtful.text,
      );
      if (arrived?.kind !== "message") continue;
      last = arrived.id;
      this.discard(doubtful.key);
    }
  }

  /** Take a message that failed away, or one that was confirmed. */
  discard(key: string): void {
    this.outgoing.value = this.outgoing.value.filter((item) => item.key !== key);
  }

  retry(item: MessageItem): void {
    this.discard(item.key);
    this.send(item.text, item.sendKey);
  }

  /** Send again what may have arrived before a reload, as long as the server knows it by its key. */
  protected sendDoubtful(): void {
    const oldest = Date.now() - KEYS_ARE_KEPT;
    for (const item of this.outgoing.value.filter((item) => item.isInDoubt)) {
      if (item.sendKey !== undefined && item.timestamp > oldest) this.retry(item);
    }
  }
}
