/** Replies, edits, deletions and reactions in a room, as items of its conversation. */

import { attachmentMessage, captionOf } from "@chat-service/client";
import type { Content, FoldedMessage, FoldedMessages, ReactionCount, Room, Stored, TextMessage } from "@chat-service/client";
import { signal, type ReadonlySignal, type Signal } from "@preact/signals";

import { attachmentsOf } from "./attachments.js";
import { explain } from "./texts.js";
import type { MessageItem } from "./timeline.js";

/** What the user has done with a message, as long as the server has not confirmed it. */
type Change = { until?: number } & (
  | { kind: "edit"; text: string }
  | { kind: "deletion" }
  | { kind: "reaction" | "unreaction"; reaction: string }
);

/** The maximum number of messages that can still change while the page is open. Older ones stay as they were loaded. */
const FOLDED = 50_000;
/** The maximum number of quoted messages that are kept though they are not loaded. */
const QUOTED = 500;
/** The server allows this many mentions at most, see the demo. */
const MENTIONS = 50;

export class Interactions {
  readonly #room: Room;
  readonly #view: FoldedMessages<TextMessage>;
  /** Reads one message of the room, folded; undefined if it is not stored. */
  readonly #read: (id: number) => Promise<Stored<TextMessage> | undefined>;
  readonly #onChange: (item: MessageItem) => void;
  readonly #changes = new Map<number, Change[]>();
  /** Edits that the server has refused, by message. */
  readonly #refused = new Map<number, { text: string; error: string }>();
  readonly #originals = new Map<number, Signal<MessageItem | null | undefined>>();

  /** `onChange`: an item of the conversation has changed. */
  constructor(
    room: Room,
    read: (id: number) => Promise<Stored<TextMessage> | undefined>,
    onChange: (item: MessageItem) => void,
  ) {
    this.#room = room;
    this.#view = room.folded(FOLDED);
    this.#read = read;
    this.#onChange = onChange;
  }

  /** Take a message of the room. Returns the item of a new one; changed ones are given to `onChange`. */
  take(message: Stored<TextMessage>, isFolded = false): MessageItem | undefined {
    const relation = message.relatesTo;
    const isNew = relation === undefined || relation.type === "reply";
    const taken = this.#view.take(message, isFolded);
    let item: MessageItem | undefined;
    if (taken !== undefined && isNew) item = this.#item(taken);
    else if (taken !== undefined) this.#changed(taken.id);
    // What is quoted may be older than what is loaded.
    else if (!isNew && this.#view.get(relation.id) === undefined) this.#originals.delete(relation.id);
    this.#settle(message.id);
    return item;
  }

  /** The item of a message that was taken, in its current form. */
  current(id: number): MessageItem | undefined {
    const folded = this.#view.get(id);
    return folded && this.#item(folded);
  }

  /** The room has started over. */
  clear(): void {
    this.#view.clear();
    this.#changes.clear();
    this.#refused.clear();
    this.#originals.clear();
  }

  /** Rejects with a `ChatError`; the change is undone then. */
  async react(id: number, reaction: string, isGiven: boolean): Promise<void> {
    const change: Change = { kind: isGiven ? "reaction" : "unreaction", reaction };
    await this.#try(id, change, () =>
      isGiven ? this.#room.react(id, reaction) : this.#room.unreact(id, reaction),
    );
  }

  /** Rejects with a `ChatError`; the change is undone then. */
  async delete(id: number): Promise<void> {
    await this.#try(id, { kind: "deletion" }, () => this.#room.delete(id));
  }

  /** If the server refuses it, the text is kept with the message, until it is edited again. */
  async edit(id: number, text: string): Promise<void> {
    this.#refused.delete(id);
    const { attachments } = this.current(id) ?? {};
    const edited = attachments ? attachmentMessage(text, attachments) : { textMessage: text };
    try {
      await this.#try(id, { kind: "edit", text }, () => this.#room.edit(id, edited));
    } catch (error) {
      const problem = explain(error, { unconfirmed: "The connection was lost. Check whether the change has arrived." });
      this.#refused.set(id, { text, error: problem });
      this.#changed(id);
    }
  }

  /** Give up an edit that was refused. */
  forgetRefused(id: number): void {
    this.#refused.delete(id);
    this.#changed(id);
  }

  /** A message that others reply to: undefined while it is loaded, null if it is no longer stored. */
  original(id: number): ReadonlySignal<MessageItem | null | undefined> {
    const known = this.#originals.get(id);
    if (known) return known;
    const folded = this.#view.get(id);
    const made = signal<MessageItem | null | undefined>(folded && this.#item(folded));
    this.#originals.set(id, made);
    if (this.#originals.size > QUOTED) this.#originals.delete(this.#originals.keys().next().value!);
    if (folded === undefined) void this.#load(id, made);
    return made;
  }

  async #load(id: number, into: Signal<MessageItem | null | undefined>): Promise<void> {
    try {
      const message = await this.#read(id);
      if (into.value !== undefined) return;
      into.value = message === undefined ? null : itemOf(message, message.interactions ?? {});
    } catch {
      // Without a connection, the next time it is displayed tries again.
      if (this.#originals.get(id) === into) this.#originals.delete(id);
    }
  }

  async #try(id: number, change: Change, send: () => Promise<number>): Promise<void> {
    this.#changes.set(id, [...(this.#changes.get(id) ?? []), change]);
    this.#changed(id);
    try {
      const confirmed = await send();
      // It is shown by itself once the room has delivered it, which is usually before the answer.
      if (confirmed > this.#room.lastId) change.until = confirmed;
      else this.#drop(id, change);
    } catch (error) {
      this.#drop(id, change);
      throw error;
    }
  }

  #drop(id: number, change: Change): void {
    const left = (this.#changes.get(id) ?? []).filter((one) => one !== change);
    if (left.length > 0) this.#changes.set(id, left);
    else this.#changes.delete(id);
    this.#changed(id);
  }

  #settle(delivered: number): void {
    for (const [id, changes] of this.#changes) {
      for (const change of changes) if ((change.until ?? Infinity) <= delivered) this.#drop(id, change);
    }
  }

  #changed(id: number): void {
    const folded = this.#view.get(id);
    if (folded === undefined) return;
    const item = this.#item(folded);
    const original = this.#originals.get(id);
    if (original) original.value = item;
    this.#onChange(item);
  }

  #item(folded: FoldedMessage<TextMessage>): MessageItem {
    const reactions = [...folded.reactions].map(([reaction, count]) => ({
      reaction,
      count,
      own: folded.ownReactions.has(reaction),
    }));
    const item = itemOf(folded.message, { edited: folded.isEdited, deleted: folded.isDeleted, reactions });
    const changed = (this.#changes.get(folded.id) ?? []).reduce(withChange, item);
    return changed.isDeleted ? changed : { ...changed, refused: this.#refused.get(folded.id) };
  }
}

/** A message in its current form. Servers and formats differ, so that any field may be missing or of another type. */
function itemOf(
  message: Content<TextMessage>,
  { edited = false, deleted = false, reactions = [] }: { edited?: boolean; deleted?: boolean; reactions?: ReactionCount[] },
): MessageItem {
  const { id, author, timestamp, relatesTo } = message;
  const attachments = attachmentsOf(message);
  const { textMessage, mentions, erased } = message as { textMessage?: unknown; mentions?: unknown; erased?: unknown };
  return {
    kind: "message",
    key: String(id),
    id,
    author,
    text: typeof textMessage === "string" ? captionOf({ textMessage, attachments }) : "",
    ...(attachments.length > 0 && { attachments }),
    timestamp,
    replyTo: relatesTo?.type === "reply" ? relatesTo.id : undefined,
    isEdited: edited,
    isDeleted: deleted || erased === true,
    reactions,
    mentions: Array.isArray(mentions) ? mentions.filter((name) => typeof name === "string").slice(0, MENTIONS) : [],
  };
}

/** The item with a change that may have been delivered already: nothing is applied twice. */
function withChange(item: MessageItem, change: Change): MessageItem {
  if (change.kind === "deletion") return { ...item, text: "", attachments: undefined, reactions: [], isDeleted: true, isChanging: true };
  if (change.kind === "edit") return { ...item, text: change.text, isEdited: true, isChanging: true };
  const isGiven = change.kind === "reaction";
  const known = item.reactions ?? [];
  const before = known.find((one) => one.reaction === change.reaction);
  if (item.isDeleted || (before?.own ?? false) === isGiven) return item;
  if (!before) return { ...item, reactions: [...known, { reaction: change.reaction, count: 1, own: true }] };
  const count = before.count + (isGiven ? 1 : -1);
  const reactions = known.map((one) => (one === before ? { ...one, count, own: isGiven } : one));
  return { ...item, reactions: reactions.filter((one) => one.count > 0) };
}
