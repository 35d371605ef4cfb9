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
  readonly timeline: ReadonlySignal<Item[]> = computed(() => [
    ...this.items.value,
    ...this.outgoing.value.filter((item) => !item.isEchoed),
  ]);

  constructor(name: string) {
    this.name = name;
  }

  get key(): string {
    return `${this.kind}:${this.name}`;
  }

  /** Send a message; what goes wrong is shown with it. `earlier`: the message as it was sent before. */
  abstract send(text: string, earlier?: MessageItem): void;

  abstract loadOlder(): Promise<void>;

  /** Everything shown has been seen. */
  abstract markRead(): void;

  /** Take up what was not sent before a reload, and keep it from now on. Returns a function that ends that. */
  keepUnsent(user: string): () => void {
    const { draft, outgoing } = savedUnsent.get(user, this.key);
    this.draft.value = draft;
    this.outgoing.value = outgoing.map(({ error, ...saved }) => {
      const item = { kind: "message", key: newKey("o"), id: 0, author: user, ...saved } as const;
      if (error !== undefined) return { ...item, sending: "failed", error };
      const isWaiting = isRepeatable(item);
      return { ...item, isInDoubt: true, ...(isWaiting ? { sending: "waiting" } : { sending: "failed", error: IN_DOUBT }) };
    });
    this.settle();
    return effect(() => {
      const unsent = this.outgoing.value.map(({ text, timestamp, sendKey, sentAt, after = 0, error, isInDoubt }) => ({
        text,
        timestamp,
        sendKey,
        sentAt,
        after,
        error: isInDoubt ? undefined : error,
      }));
      savedUnsent.set(user, this.key, { draft: this.draft.value, outgoing: unsent });
    });
  }

  protected append(item: Item): void {
    this.items.value = [...this.items.value, item];
  }

  protected addOutgoing(author: string, text: string, more: Partial<MessageItem> = {}): MessageItem {
    const item: MessageItem = {
      kind: "message",
      key: newKey("o"),
      id: 0,
      author,
      text,
      timestamp: Date.now(),
      sending: "waiting",
      ...more,
    };
    this.outgoing.value = [...this.outgoing.value, item];
    return item;
  }

  protected fail(item: MessageItem, error: string): void {
    this.change(item.key, { sending: "failed", error, isEchoed: false });
  }

  /** Change an own message that is not confirmed. */
  protected change(key: string, changes: Partial<MessageItem>): void {
    this.outgoing.value = this.outgoing.value.map((item) => (item.key === key ? { ...item, ...changes } : item));
  }

  /**
   * Of the messages in doubt that cannot be sent again by key, drop those that have arrived, as the items show. The
   * others are left to their keys: an equal text may come from another device.
   */
  protected settle(): void {
    let last = 0;
    for (const doubtful of this.outgoing.value.filter((item) => item.isInDoubt && !isRepeatable(item))) {
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
    this.send(item.text, item);
  }

  /** Own messages that wait for the join: those of before a reload that can be sent again, and what came after them. */
  protected get held(): MessageItem[] {
    return this.outgoing.value.filter((item) => item.isInDoubt && isRepeatable(item));
  }

  /** Send what has waited for the join, in the order in which it was written. */
  protected sendHeld(): void {
    for (const item of this.held) this.retry(item);
    for (const item of this.outgoing.value) {
      // It has become too old meanwhile.
      if (item.isInDoubt && item.sending === "waiting") this.fail(item, IN_DOUBT);
    }
  }
}

/** Whether the server stores a message only once, however often it is sent. */
export function isRepeatable({ sendKey, sentAt, timestamp }: MessageItem): boolean {
  if (sendKey === undefined) return false;
  // One that was never sent can be sent at any time.
  return sentAt === null || (sentAt ?? timestamp) > Date.now() - KEYS_ARE_KEPT;
}
