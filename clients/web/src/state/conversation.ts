/** The common part of rooms and direct messages. */

import type { Attachment } from "@chat-service/client";
import { computed, effect, signal, type ReadonlySignal } from "@preact/signals";

import type { Interactions } from "./interactions.js";
import type { UploadQueue } from "./uploads.js";
import { savedUnsent } from "./storage.js";
import { newKey, type Item, type MessageItem } from "./timeline.js";

/** Why a conversation does not accept messages. */
export interface Closed {
  text: string;
  /** The label of a button that joins again; null if that would not help. */
  again: string | null;
}

const IN_DOUBT = "The page was closed before this was confirmed. Check whether it has arrived before you send it again.";

/** Milliseconds for which the server certainly remembers an idempotency key. */
const KEYS_ARE_KEPT = 240_000;

export abstract class Conversation {
  abstract readonly kind: "room" | "direct";
  /** The name of the room or of the other person. */
  readonly name: string;
  readonly items = signal<Item[]>([]);
  /** The user's own messages that the server has not confirmed. */
  readonly outgoing = signal<MessageItem[]>([]);
  readonly unread = signal(0);
  /** The id after which unread messages begin, while the conversation is open. */
  readonly divider = signal<string | null>(null);
  /** The key of a message to scroll to, until the list has done so. */
  readonly target = signal<string | null>(null);
  readonly hasOlder = signal(false);
  /** Whether messages before the oldest one are no longer stored. */
  readonly isCut = signal(false);
  readonly isLoading = signal(false);
  /** Text that was written but not sent. */
  readonly draft = signal("");
  readonly closed = signal<Closed | null>(null);
  /** Replies, edits, deletions and reactions, where there are any. */
  readonly interactions: Interactions | null = null;
  /** The message that the next one replies to. */
  readonly replyTo = signal<MessageItem | null>(null);
  /** The message that is being edited, and its text so far. */
  readonly editing = signal<{ item: MessageItem; text: string } | null>(null);
  readonly timeline: ReadonlySignal<Item[]> = computed(() => [
    ...this.items.value,
    ...this.outgoing.value.filter((item) => !item.isEchoed),
  ]);

  /** The key of the message that had the focus last; null for the newest one. */
  readonly focused = signal<string | null>(null);
  /** The key of the message that is reached with Tab. */
  readonly tabStop = computed(() => this.focused.value ?? lastMessage(this.timeline.value)?.key ?? null);

  constructor(name: string) {
    this.name = name;
  }

  /** The time of the newest entry in ms, 0 if there is none. */
  get newest(): number {
    return this.timeline.value.at(-1)?.timestamp ?? 0;
  }

  get key(): string {
    return `${this.kind}:${this.name}`;
  }

  /** Files of the next message; null where files cannot be sent. */
  readonly uploads: UploadQueue | null = null;

  /** Send a message; errors are shown with it. `earlier`: the message as it was sent before. `attachments`: its files. */
  abstract send(text: string, earlier?: MessageItem, attachments?: readonly Attachment[]): void;

  abstract loadOlder(): Promise<void>;

  /** Mark all shown messages as seen. */
  abstract markRead(): void;

  /** The key of the last message that was read; null if that is not loaded. */
  lastRead(): string | null {
    const messages = this.items.value.filter((item) => item.kind === "message");
    return messages.at(-this.unread.value - 1)?.key ?? null;
  }

  /** The user has changed the text of the next message. */
  onInput(_text: string): void {
    // Only rooms tell others that somebody is typing.
  }

  /** Load messages unsent before a reload, and keep such messages from now on. Returns a function that stops this. */
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
      const unsent = this.outgoing.value.map(({ text, timestamp, sendKey, sentAt, after = 0, replyTo, epoch, attachments, error, isInDoubt }) => ({
        text,
        timestamp,
        sendKey,
        sentAt,
        after,
        replyTo,
        epoch,
        attachments,
        error: isInDoubt ? undefined : error,
      }));
      savedUnsent.set(user, this.key, { draft: this.draft.value, outgoing: unsent });
    });
  }

  /** The names of people that can be mentioned. */
  memberNames(): Iterable<string> {
    return [];
  }

  /** Begin to edit a message. `text`: what it was changed to already. */
  edit(item: MessageItem, text = item.text): void {
    this.replyTo.value = null;
    this.editing.value = { item, text };
  }

  reply(item: MessageItem): void {
    this.editing.value = null;
    this.replyTo.value = item;
  }

  /** Edit the user's last message; whether there is one. */
  editLast(user: string): boolean {
    if (this.interactions === null) return false;
    const last = lastMessage(this.items.value, (item) => item.author === user && !item.isDeleted);
    if (last) this.edit(last, last.refused?.text);
    return last !== undefined;
  }

  /** Save the edit, unless it changes nothing. */
  saveEdit(): void {
    const editing = this.editing.value;
    this.editing.value = null;
    if (editing === null || (editing.text.trim() === editing.item.text && !editing.item.refused)) return;
    void this.interactions?.edit(editing.item.id, editing.text.trim());
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

  /** Change one of the user's own unconfirmed messages. */
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

  /** Remove a message that failed or was confirmed. */
  discard(key: string): void {
    this.outgoing.value = this.outgoing.value.filter((item) => item.key !== key);
  }

  retry(item: MessageItem): void {
    this.discard(item.key);
    this.send(item.text, item);
  }

  /** Messages that wait for the join: first those from before a reload that can be sent again, then newer ones. */
  protected get held(): MessageItem[] {
    return this.outgoing.value.filter((item) => item.isInDoubt && isRepeatable(item));
  }

  /** Send the messages that waited for the join, in the order in which they were written. */
  protected sendHeld(): void {
    for (const item of this.held) this.retry(item);
    for (const item of this.outgoing.value) {
      // It has become too old in the meantime.
      if (item.isInDoubt && item.sending === "waiting") this.fail(item, IN_DOUBT);
    }
  }
}

function lastMessage(items: readonly Item[], isWanted = (_: MessageItem) => true): MessageItem | undefined {
  for (let index = items.length - 1; index >= 0; index--) {
    const item = items[index]!;
    if (item.kind === "message" && isWanted(item)) return item;
  }
  return undefined;
}

/** Whether the server stores a message only once, however often it is sent. */
export function isRepeatable({ sendKey, sentAt, timestamp }: MessageItem): boolean {
  if (sendKey === undefined) return false;
  // A message that was never sent can be sent at any time.
  return sentAt === null || (sentAt ?? timestamp) > Date.now() - KEYS_ARE_KEPT;
}
