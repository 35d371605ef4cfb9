/** What rooms and direct messages have in common. */

import { computed, signal, type ReadonlySignal } from "@preact/signals";

import { newKey, type Item, type MessageItem } from "./timeline.js";

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
  readonly isLoading = signal(false);
  /** What was written and not sent. */
  readonly draft = signal("");
  /** Why one cannot write here, in plain words. */
  readonly closed = signal<string | null>(null);
  readonly timeline: ReadonlySignal<Item[]> = computed(() => [...this.items.value, ...this.outgoing.value]);

  constructor(name: string) {
    this.name = name;
  }

  get key(): string {
    return `${this.kind}:${this.name}`;
  }

  /** Send a message; what goes wrong is shown with it. */
  abstract send(text: string): void;

  abstract loadOlder(): Promise<void>;

  /** Everything that is there has been seen. */
  abstract markRead(): void;

  protected append(item: Item): void {
    this.items.value = [...this.items.value, item];
  }

  protected addOutgoing(author: string, text: string): MessageItem {
    const item: MessageItem = {
      kind: "message",
      key: newKey("o"),
      id: 0,
      author,
      text,
      timestamp: Date.now(),
      sending: "waiting",
    };
    this.outgoing.value = [...this.outgoing.value, item];
    return item;
  }

  protected fail(item: MessageItem, error: string): void {
    this.outgoing.value = this.outgoing.value.map((other) =>
      other.key === item.key ? { ...item, sending: "failed", error } : other,
    );
  }

  /** Take a message that failed away, or one that was confirmed. */
  discard(key: string): void {
    this.outgoing.value = this.outgoing.value.filter((item) => item.key !== key);
  }

  retry(item: MessageItem): void {
    this.discard(item.key);
    this.send(item.text);
  }
}
