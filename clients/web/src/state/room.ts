/** A room that the user has joined. */

import {
  attachmentMessage,
  newKey as newIdempotencyKey,
  ChatError,
  type Attachment,
  type Room,
  type Stored,
  type TextMessage,
} from "@chat-service/client";
import { computed, signal } from "@preact/signals";

import { summary } from "./attachments.js";
import { Conversation, isRepeatable, type Closed } from "./conversation.js";
import type { Client } from "./demo.js";
import type { Host } from "./host.js";
import { Interactions } from "./interactions.js";
import type { SavedRoom } from "./storage.js";
import { MarkSender } from "./marks.js";
import { Presences } from "./presence.js";
import { explain, isolated } from "./texts.js";
import { note, withPresence, type MessageItem } from "./timeline.js";
import { UploadQueue } from "./uploads.js";
import { Typing } from "./typing.js";

export const LISTS = ["adminlist", "whitelist", "blacklist"] as const;
export type ListName = (typeof LISTS)[number];

const PAGE = 50;
/** Characters of a message that are read out. */
const ANNOUNCED = 500;
/** For jumps. The server may return fewer. */
const BIG_PAGE = 500;

export class RoomConversation extends Conversation {
  readonly kind: "room" | "direct" = "room";
  /** The name on the server. */
  readonly roomName: string;
  /** The people in the room, with their number of devices. */
  readonly members = signal<ReadonlyMap<string, number>>(new Map());
  readonly presences: Presences;
  readonly owner = signal<string | null>(null);
  readonly whitelistOnly = signal(false);
  readonly lists = signal<Record<ListName, string[]>>({ adminlist: [], whitelist: [], blacklist: [] });
  readonly isOwner = computed(() => this.owner.value === this.#host.userName.value);
  readonly isAdmin = computed(
    () => this.isOwner.value || this.lists.value.adminlist.includes(this.#host.userName.value),
  );
  readonly typing = new Typing(() => void this.#room.sendEvent("typing").catch(() => undefined));
  override readonly interactions: Interactions;
  override readonly uploads: UploadQueue;
  readonly #host: Host;
  readonly #client: Client;
  readonly #room: Room;
  readonly #marks = new MarkSender((id) => this.#room.markRead(id));
  readonly #stops: (() => void)[];
  #saved: SavedRoom | undefined;
  /** Whether this device does not know how far the room was read. */
  #isNewHere = false;
  /** Older messages are being loaded. */
  #loading: Promise<void> | undefined;
  /** Resolves when the server has said how far the room was read. */
  #marked: Promise<void> | undefined;

  /** `name`: as it is shown. */
  constructor(host: Host, client: Client, name: string, saved: SavedRoom | undefined, roomName = name) {
    super(name);
    this.roomName = roomName;
    this.#host = host;
    this.#client = client;
    this.#room = client.room(roomName);
    this.#saved = saved;
    this.presences = new Presences(client, roomName);
    const room = this.#room;
    this.uploads = new UploadQueue(room, client);
    const read = async (id: number) => {
      const answer = await client.request("roomHistoryGet", roomName, id - 1, 1, { fold: true });
      return (answer as Stored<TextMessage>[]).find((message) => message.id === id);
    };
    this.interactions = new Interactions(room, read, (item) => this.#replace(item));
    this.#stops = [
      room.on("message", (message, isLive) => this.#onMessage(message, isLive)),
      room.on("gap", ({ from, to }) => this.append(note(`Messages ${from} to ${to} are no longer stored`))),
      room.on("stateGap", () => void this.#loadDetails()),
      room.on("event", ({ author, name }) => {
        if (name === "typing" && author !== null && author !== host.userName.value) this.typing.hear(author);
      }),
      room.on("read", (id) => this.#onReadElsewhere(id)),
      room.on("restarted", () => this.#onRestarted()),
      room.on("state", (state) => {
        if (state === "joined") this.#onJoined();
        if (state === "out") this.#onOut();
        if (state === "waiting") this.#onWaiting();
      }),
      room.on("sending", (key) => this.#onSending(key)),
      room.on("removed", (error) => this.#onRemoved(error)),
      room.on("userJoined", (name) => this.#onPresence(name, true)),
      room.on("userLeft", (name) => this.#onPresence(name, false)),
      room.on("memberUpdated", (name, details) => this.presences.updated(name, details)),
      room.on("accessListAdded", (list, names) => this.#onList(list, names, [])),
      room.on("accessListRemoved", (list, names) => this.#onList(list, [], names)),
      room.on("modeChanged", (mode) => {
        this.whitelistOnly.value = mode;
        this.append(note(mode ? "The room is now for invited people only" : "The room is now open to everyone"));
      }),
      client.on("roomDevicesChanged", (where, user, devices) => {
        if (where === roomName) this.#setDevices(user, devices);
      }),
      client.on("roomUserRemoved", (where, by) => {
        if (where === roomName) this.#end({ text: `${isolated(by)} removed you from ${isolated(name)}.`, again: "Join again" });
      }),
    ];
  }

  /** Whether the user is in the room at the moment. */
  get isJoined(): boolean {
    return this.#room.state === "joined";
  }

  /** Rejects with a `ChatError`. */
  async join(): Promise<void> {
    await this.#room.join({ recent: PAGE });
    await this.#marked;
  }

  async leave(): Promise<void> {
    this.dispose();
    await this.#room.leave();
  }

  dispose(): void {
    for (const stop of this.#stops.splice(0)) stop();
    this.typing.clear();
    this.uploads.clear();
    this.#marks.stop();
  }

  override keepUnsent(user: string): () => void {
    const stop = super.keepUnsent(user);
    if (this.#room.state === "joined") this.#onMayWrite();
    return stop;
  }

  override memberNames(): Iterable<string> {
    return this.members.value.keys();
  }

  override onInput(text: string): void {
    if (this.#room.state === "joined") this.typing.onInput(text);
  }

  send(text: string, earlier?: MessageItem, files?: readonly Attachment[]): void {
    this.typing.onSent();
    const isHeld = earlier === undefined && this.held.length > 0;
    const replyTo = earlier === undefined ? this.replyTo.value?.id : earlier.replyTo;
    const epoch = earlier?.epoch ?? this.#room.epoch;
    const attachments = earlier === undefined ? files : earlier.attachments;
    if (earlier === undefined) this.replyTo.value = null;
    const item = this.addOutgoing(this.#host.userName.value, text, {
      ...(replyTo !== undefined && { replyTo, epoch }),
      ...(attachments?.length && { attachments }),
      sendKey: newIdempotencyKey(),
      sentAt: null,
      after: this.#room.lastId,
      isInDoubt: isHeld,
      // Otherwise the server may have forgotten the key.
      ...(earlier && isRepeatable(earlier) && repeated(earlier)),
    });
    if (isHeld) return;
    const { sendKey, sentAt = item.timestamp } = item;
    const options = replyTo === undefined ? undefined : { replyTo, ...(epoch !== undefined && { targetEpoch: epoch }) };
    const message = attachments?.length ? attachmentMessage(text, attachments) : { textMessage: text };
    this.#room.send(message, sendKey, sentAt ?? undefined, options).then(
      () => this.discard(item.key),
      (error: unknown) => {
        // An error from the server means that the message is not stored.
        if (!(error instanceof ChatError && error.code === "unconfirmed")) this.change(item.key, { sentAt: null });
        this.fail(item, this.explain(error));
      },
    );
  }

  /** Why a message was refused. */
  protected explain(error: unknown): string {
    return explain(error);
  }

  loadOlder(): Promise<void> {
    return (this.#loading ??= this.#load(() => false, PAGE).finally(() => (this.#loading = undefined)));
  }

  /** Load the messages back to an id, and scroll to the one with that id. Resolves with false if it is not stored. */
  async show(id: number): Promise<boolean> {
    await this.#loading;
    const isMoreWanted = () => this.#room.firstId > id;
    if (isMoreWanted()) {
      await (this.#loading ??= this.#load(isMoreWanted, BIG_PAGE).finally(() => (this.#loading = undefined)));
    }
    const isLoaded = this.items.value.some((item) => item.kind === "message" && item.id === id);
    if (isLoaded) this.target.value = String(id);
    return isLoaded;
  }

  /** Load a page of older messages, and more pages while that is wanted. They are shown together. */
  async #load(isMoreWanted: () => boolean, size: number): Promise<void> {
    if (!this.hasOlder.value || this.#room.state !== "joined") return;
    this.isLoading.value = true;
    const { epoch } = this.#room;
    const pages: MessageItem[][] = [];
    try {
      let older: Stored<TextMessage>[];
      do {
        older = await this.#room.older(size, true);
        pages.unshift(older.map((message) => this.interactions.take(message, true)).filter((item) => item !== undefined));
        // A page may have only reactions and edits, of messages on earlier pages.
      } while (older.length > 0 && this.#room.hasOlder && (pages[0]!.length === 0 || isMoreWanted()));
    } catch {
      // Without a connection, the next scroll tries again.
    } finally {
      // They may have changed while others were loaded.
      const loaded = pages.flat().map((item) => this.interactions.current(item.id) ?? item);
      if (this.#room.epoch === epoch) this.items.value = [...loaded, ...this.items.value];
      this.#setOlder();
      this.isLoading.value = false;
    }
  }

  markRead(): void {
    if (this.unread.value === 0 && this.#saved?.readId === this.#room.lastId) return;
    this.#setRead(this.#room.lastId);
    this.#marks.read(this.#room.lastId);
  }

  /** Another device of this user has read up to this message. */
  #onReadElsewhere(readId: number): void {
    this.#marks.know(readId);
    if (readId > (this.#saved?.readId ?? 0)) this.#setRead(readId);
  }

  #setRead(readId: number): void {
    this.unread.value = this.#countAfter(readId);
    if (this.#room.epoch === undefined) return;
    this.#saved = { name: this.roomName, readId, epoch: this.#room.epoch };
    if (this.closed.value === null) this.#host.saveRoom(this.#saved);
  }

  /** The number of messages of others after one, including those that are not loaded. */
  #countAfter(readId: number): number {
    const items = this.items.value;
    let found = 0;
    // From the end: nearly all messages were read before.
    for (let index = items.length - 1; index >= 0; index--) {
      const item = items[index]!;
      if (item.kind !== "message") continue;
      if (item.id <= readId) break;
      if (!item.isDeleted && item.author !== this.#host.userName.value) found++;
    }
    return found + Math.max(0, this.#room.firstId - 1 - readId);
  }

  override lastRead(): string | null {
    const readId = this.#saved?.readId ?? 0;
    const items = this.items.value;
    for (let index = items.length - 1; index >= 0; index--) {
      const item = items[index]!;
      if (item.kind === "message" && item.id <= readId) return item.key;
    }
    return null;
  }

  /** Ask the server how far the room was read on any device. On the first visit, earlier messages are not new. */
  async #loadMark(): Promise<void> {
    try {
      const { readId } = await this.#room.unread();
      const saved = this.#saved;
      if (saved === undefined) return;
      this.#marks.know(readId);
      if (readId > saved.readId || (this.#isNewHere && (readId > 0 || this.kind === "direct"))) this.#setRead(readId);
      else this.#marks.read(saved.readId);
      this.#isNewHere = false;
    } catch {
      // Left or disconnected in the meantime; the next join asks again.
    }
  }

  // Settings

  async setMode(whitelistOnly: boolean): Promise<void> {
    await this.#client.commands.roomSetWhitelistMode(this.roomName, whitelistOnly);
  }

  async addToList(list: ListName, name: string): Promise<void> {
    await this.#client.commands.roomAddToList(this.roomName, list, [name]);
  }

  async removeFromList(list: ListName, name: string): Promise<void> {
    await this.#client.commands.roomRemoveFromList(this.roomName, list, [name]);
  }

  /** Remove a person without changing a list, so that they may come back. */
  async removeUser(name: string): Promise<void> {
    await this.#client.request("roomRemoveUser", this.roomName, name);
  }

  /** Whether the user may remove a person: the owner may remove admins, and nobody the owner. */
  mayRemove(name: string): boolean {
    if (name === this.#host.userName.value || name === this.owner.value) return false;
    return this.isOwner.value || (this.isAdmin.value && !this.lists.value.adminlist.includes(name));
  }

  /** Remove a person and prevent them from coming back. */
  async block(name: string): Promise<void> {
    if (this.lists.value.adminlist.includes(name)) await this.removeFromList("adminlist", name);
    await this.addToList("blacklist", name);
  }

  async delete(): Promise<void> {
    await this.#client.commands.roomDelete(this.roomName);
  }

  /** When a person last joined or left, as Unix time in ms; null if never, or if the server does not say. */
  async lastSeen(name: string): Promise<number | null> {
    try {
      return (await this.#client.commands.roomUserSeen(this.name, name)).timestamp;
    } catch {
      return null; // left or disconnected in the meantime
    }
  }

  /** The people who would be removed in whitelist-only mode. */
  notInvited(): string[] {
    const { adminlist, whitelist } = this.lists.value;
    return [...this.members.value.keys()].filter(
      (name) => name !== this.owner.value && !adminlist.includes(name) && !whitelist.includes(name),
    );
  }

  // Events

  #onMessage(message: Stored<TextMessage>, isLive: boolean): void {
    const isOwn = message.author === this.#host.userName.value;
    const item = this.interactions.take(message);
    // It says something about an earlier message.
    if (item === undefined) return;
    if (isOwn) {
      // This may be the message whose answer arrives a moment later, or an equal one from another device.
      const sent = this.outgoing.value.find(({ sending, sentAt }) => sending === "waiting" && typeof sentAt === "number");
      if (sent?.text === item.text && isSame(sent, item) && sent.replyTo === item.replyTo) this.change(sent.key, { isEchoed: true });
    }
    this.typing.forget(message.author);
    this.append(item);
    if (isOwn) this.settle();
    if (isOwn || !this.#saved || message.id <= this.#saved.readId) return;
    this.#host.onUnread(this, item.author, summary(item).slice(0, ANNOUNCED), isLive);
  }

  /** A message was edited or deleted, or has got or lost a reaction. */
  #replace(item: MessageItem): void {
    const items = [...this.items.value];
    const position = items.map(({ key }) => key).lastIndexOf(item.key);
    if (position < 0) return; // it is not loaded
    items[position] = item;
    this.items.value = items;
    if (!item.isDeleted) return;
    if (this.editing.value?.item.id === item.id) this.editing.value = null;
    if (this.replyTo.value?.id === item.id) this.replyTo.value = null;
  }

  #onRestarted(): void {
    this.items.value = this.kind === "room" ? [note("The room was created again")] : [];
    this.interactions.clear();
    this.editing.value = this.replyTo.value = null;
    this.divider.value = null;
    this.unread.value = 0;
    this.#saved = undefined;
    this.#marks.reset();
  }

  #onJoined(): void {
    this.#setOlder();
    this.#onMayWrite();
    this.closed.value = null;
    const { lastId, epoch = "" } = this.#room;
    if (this.#saved?.epoch !== epoch) {
      // Unless another device has read something, as the server knows.
      this.#isNewHere = true;
      this.#saved = { name: this.roomName, readId: lastId, epoch };
      this.unread.value = 0;
    } else if (this.unread.value > 0) {
      this.unread.value = this.#countAfter(this.#saved.readId);
    }
    this.#host.saveRoom(this.#saved);
    this.#marked = this.#loadMark();
    void this.#loadDetails();
    void this.uploads.load();
  }

  #onMayWrite(): void {
    this.settle();
    this.sendHeld();
  }

  /** A message is about to be sent for the first time: from now on it may be stored. */
  #onSending(sendKey: string): void {
    const item = this.outgoing.value.find((item) => item.sendKey === sendKey);
    if (item) this.change(item.key, { sentAt: Date.now() });
  }

  /** Answers do not arrive without a connection. */
  #onWaiting(): void {
    for (const { key, isEchoed } of this.outgoing.value) if (isEchoed) this.change(key, { isEchoed: false });
  }

  #setOlder(): void {
    this.hasOlder.value = this.#room.hasOlder;
    this.isCut.value = !this.#room.hasOlder && this.#room.firstId > 1;
  }

  async #loadDetails(): Promise<void> {
    const { commands } = this.#client;
    try {
      const [owner, mode, devices, adminlist, whitelist, blacklist] = await Promise.all([
        commands.roomGetOwner(this.roomName),
        commands.roomGetWhitelistMode(this.roomName),
        this.#client.request("roomDevices", this.roomName) as Promise<Record<string, number>>,
        ...LISTS.map((list) => commands.roomGetAccessList(this.roomName, list)),
        this.presences.load(),
      ]);
      this.owner.value = owner;
      this.whitelistOnly.value = mode;
      this.members.value = new Map(Object.entries(devices));
      this.lists.value = { adminlist: adminlist ?? [], whitelist: whitelist ?? [], blacklist: blacklist ?? [] };
    } catch {
      // Left or disconnected in the meantime; the next join loads them.
    }
  }

  #onRemoved(error: ChatError): void {
    const name = isolated(this.name);
    const text = explain(error, {
      notAllowed: `You were removed from ${name}. You can come back when its owner or an admin lets you in.`,
      noRoom: `${name} was deleted.`,
    });
    this.#end({ text, again: null });
  }

  /** The server has removed this device from the room. The reason is sent separately, or not at all. */
  #onOut(): void {
    if (this.#client.state === "online" && this.closed.value === null) {
      this.closed.value = { text: `You are no longer in ${isolated(this.name)}.`, again: "Join again" };
    }
  }

  #end(closed: Closed): void {
    this.members.value = new Map();
    this.presences.clear();
    this.typing.clear();
    this.closed.value = closed;
    this.#host.onRemoved(this);
  }

  #onPresence(name: string, isHere: boolean): void {
    if (isHere) this.presences.joined(name);
    else {
      this.presences.left(name);
      this.typing.forget(name);
    }
    if (this.kind === "room" && name !== this.#host.userName.value) {
      this.items.value = withPresence(this.items.value, { name, isHere, timestamp: Date.now() });
    }
    this.#setDevices(name, isHere ? (this.members.value.get(name) ?? 1) : 0);
  }

  #setDevices(name: string, devices: number): void {
    const members = new Map(this.members.value);
    if (devices > 0) members.set(name, devices);
    else members.delete(name);
    this.members.value = members;
  }

  #onList(list: string, added: string[], removed: string[]): void {
    const lists = this.lists.value;
    const names = new Set(lists[list as ListName]);
    for (const name of added) names.add(name);
    for (const name of removed) names.delete(name);
    this.lists.value = { ...lists, [list]: [...names] };
  }
}

/** The part of a message that stays the same when it is sent again with its key. */
const isSame = (one: MessageItem, other: MessageItem) =>
  (one.attachments?.map(({ url }) => url) ?? []).join() === (other.attachments?.map(({ url }) => url) ?? []).join();

function repeated({ sendKey, sentAt, timestamp, after }: MessageItem): Partial<MessageItem> {
  return { sendKey, sentAt, timestamp, after };
}
