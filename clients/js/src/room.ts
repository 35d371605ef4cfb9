/** A room that the client keeps joined: it rejoins after every reconnect, and delivers messages in order without repeats. */

import { Emitter } from "./emitter.js";
import { ChatError } from "./errors.js";
import { FoldedMessages, type RelationOptions } from "./interactions.js";
import { Outbox, retryDelay, type Unsent } from "./outbox.js";
import type { HistoryGap, HistoryInfo, JoinHistory, ReadState, Stored, TextMessage } from "./protocol.js";
import { attachmentMessage, type Attachment, type Uploaded, type UploadOptions } from "./uploads.js";
import type { JoinOptions, RoomEvents, RoomHost, RoomState } from "./room-types.js";

const DEFAULT_RECENT = 50;

const NOTIFICATIONS = {
  roomUserJoined: "userJoined",
  roomUserLeft: "userLeft",
  roomMemberUpdated: "memberUpdated",
  roomAccessListAdded: "accessListAdded",
  roomAccessListRemoved: "accessListRemoved",
  roomModeChanged: "modeChanged",
  roomEvent: "event",
  roomReadEcho: "read",
} as const;

export class Room<M extends object = TextMessage> extends Emitter<RoomEvents<M>> {
  readonly name: string;
  readonly #host: RoomHost;
  readonly #outbox: Outbox<M>;
  #state: RoomState = "out";
  #options: JoinOptions = {};
  /** The first and last id of the delivered messages; undefined before the first join. */
  #range: { first: number; last: number } | undefined;
  /** Whether no message of the range has been delivered yet. Then none can be missing. */
  #isFresh = false;
  /** The epoch of the room's history that the range belongs to. */
  #historyEpoch: string | undefined;
  /** The maximum number of messages in an answer. */
  #pageSize = 100;
  #hasOlder = true;
  /** Live messages that wait until the catch-up is complete; undefined when there is none. */
  #waiting: Stored<M>[] | undefined;
  /** Incremented by every join, leave and lost connection, so that operations that began earlier can detect it. */
  #turn = 0;

  constructor(host: RoomHost, name: string) {
    super();
    this.#host = host;
    this.name = name;
    this.#outbox = new Outbox<M>(
      (message, idempotencyKey, options) =>
        host.request("roomMessage", name, message, { idempotencyKey, ...options }) as Promise<number>,
      host.outboxLimits,
      (key) => this.emit("sending", key),
    );
  }

  get state(): RoomState {
    return this.#state;
  }

  /** The id of the last delivered message; 0 if there was none. */
  get lastId(): number {
    return this.#range?.last ?? 0;
  }

  /** The id of the first delivered message, including those from `older`; if there was none, the id of the next one. */
  get firstId(): number {
    return this.#range?.first ?? 1;
  }

  /** The epoch of the room's history that the ids belong to, once the room has been joined. */
  get epoch(): string | undefined {
    return this.#historyEpoch;
  }

  /** Whether `older` may still find something. */
  get hasOlder(): boolean {
    return this.#hasOlder && (this.#range?.first ?? 1) > 1;
  }

  /**
   * The messages that the server has not confirmed, in the order in which they are sent. With a storage they include
   * messages of an earlier page, as soon as the login is confirmed. Throws a `ChatError`, `outboxUnusable`.
   */
  get unsent(): readonly Unsent<M>[] {
    this.#restore();
    return this.#outbox.unsent;
  }

  /** Join, and deliver the part of the history that `options` ask for; then resolve. Rejects with a `ChatError`. */
  async join(options: JoinOptions = {}): Promise<void> {
    if (this.#state !== "out") return;
    this.#restore();
    this.#outbox.pause();
    this.#options = options;
    this.#range = undefined;
    this.#historyEpoch = options.epoch;
    this.#hasOlder = true;
    const turn = this.#begin("joining");
    try {
      await this.#enter(turn, true);
    } catch (error) {
      if (turn === this.#turn) this.#leaveState();
      throw error;
    }
  }

  /** Leave the room for good. This also works without a connection. */
  async leave(): Promise<void> {
    const wasOut = this.#state === "out";
    this.#leaveState();
    if (!wasOut && this.#host.isOnline()) await this.#host.request("roomLeave", this.name);
  }

  /**
   * Send a message; resolves with its id when it is stored, exactly once. Messages are sent one after another, in the
   * order of the calls. Without a connection a message waits, and without an answer it is sent again with the same
   * idempotency key. Rejects with the server's error, or with `unconfirmed` if it is unknown whether the message is
   * stored: no answer came for too long, the server does not support keys, or access to the room was lost before the
   * answer.
   *
   * For a message that the application has stored itself, `key` is its idempotency key, and `sentAt` the time of the
   * event `sending`, in milliseconds since the epoch. Without that time the message counts as never sent. `options`: what
   * it says about an earlier message.
   */
  send(message: M, key?: string, sentAt?: number, options?: RelationOptions): Promise<number> {
    if (this.#state === "out") {
      const error = this.#host.isClosed() ? new ChatError("disconnected") : new ChatError("notJoined", [this.name]);
      return Promise.reject(error);
    }
    const sent = this.#outbox.add(message, key, sentAt, options);
    if (this.#state === "joined") this.#outbox.pump();
    return sent;
  }

  /** Upload a file to the room, without telling anybody yet. See `ChatClient.upload`. */
  upload(file: Blob, options?: UploadOptions): Promise<Uploaded> {
    return this.#host.upload(this.name, file, options);
  }

  /** Send a message with uploaded files; like `send`. */
  sendFiles(files: readonly Attachment[], text = "", key?: string): Promise<number> {
    return this.send(attachmentMessage(text, files, this.#host.server) as unknown as M, key);
  }

  /** Send a reply to a message; like `send`. */
  reply(id: number, message: M, key?: string): Promise<number> {
    return this.#say({ replyTo: id }, message, key);
  }

  /** Send the new content of a message; for its author and admins. */
  edit(id: number, message: M, key?: string): Promise<number> {
    return this.#say({ edits: id }, message, key);
  }

  /**
   * Delete a message; for its author and admins. `message`: what clients get that do not know deletions, needed if the
   * service has a format of its own.
   */
  delete(id: number, message: M = { textMessage: "" } as unknown as M): Promise<number> {
    return this.#say({ deletes: id }, message);
  }

  /** Add a reaction to a message. `message`: as for `delete`. */
  react(id: number, reaction: string, message: M = { textMessage: reaction } as unknown as M): Promise<number> {
    return this.#say({ reactsTo: id, reaction }, message);
  }

  /** Take a reaction back; resolves with 0 if there was none. `message`: as for `delete`. */
  unreact(id: number, reaction: string, message: M = { textMessage: "" } as unknown as M): Promise<number> {
    return this.#say({ unreactsTo: id, reaction }, message);
  }

  /** The id stands for another message in another epoch. */
  #say(options: RelationOptions, message: M, key?: string): Promise<number> {
    const targetEpoch = this.#historyEpoch;
    return this.send(message, key, undefined, { ...options, ...(targetEpoch !== undefined && { targetEpoch }) });
  }

  /**
   * A view of the newest messages in their current form: give it what the event `message` brings. It keeps `limit` of
   * them, and an eighth more for a while.
   */
  folded(limit = 1000): FoldedMessages<M> {
    return new FoldedMessages<M>(this, () => this.#host.userName(), limit);
  }

  /** Send an event to the others in the room, such as a user typing: at most once. Rejects with a `ChatError`. */
  async sendEvent(name: string, data: unknown = null): Promise<void> {
    if (this.#state === "out") throw new ChatError("notJoined", [this.name]);
    await this.#host.request("roomEvent", this.name, name, data);
  }

  /** Mark the room as read up to a message. Resolves with the id up to which it is read now: marks never go back. */
  async markRead(id = this.lastId): Promise<number> {
    return (await this.#host.request("roomMarkRead", this.name, id)) as number;
  }

  /** How far the user has read the room, on any device. Rejects with a `ChatError`, `notJoined` without access. */
  async unread(): Promise<ReadState> {
    const states = (await this.#host.request("roomGetUnread", [this.name])) as Record<string, ReadState>;
    const state = states[this.name];
    if (state === undefined) throw new ChatError("notJoined", [this.name]);
    return state;
  }

  /**
   * Get the messages before the oldest delivered one, oldest first; an empty list at the beginning of the history.
   * `fold`: each in its current form, for `folded().take(message, true)`.
   */
  async older(limit = DEFAULT_RECENT, fold = false): Promise<Stored<M>[]> {
    const first = this.#range?.first ?? 1;
    if (!this.hasOlder) return [];
    const count = Math.min(limit, this.#pageSize);
    const after = Math.max(0, first - 1 - count);
    const page: Stored<M>[] = [];
    // An answer may contain fewer messages than there are; the next request returns the rest.
    for (let last = after; last < first - 1; last = page.at(-1)!.id) {
      const part = (await this.#page(last, first - 1 - last, fold)).filter((message) => message.id < first);
      if (part.length === 0) break;
      page.push(...part);
    }
    // Another call was faster, or the room has started over.
    if (this.#range?.first !== first) return [];
    this.#hasOlder = page.length > 0 && page[0]!.id === after + 1 && after > 0;
    if (page.length > 0) this.#range.first = page[0]!.id;
    const shown = page.filter((message) => !message.hidden);
    return shown.length === 0 && this.hasOlder ? this.older(limit, fold) : shown;
  }

  // Called by the client

  /** @internal */
  onOnline(): void {
    if (this.#state !== "waiting") return;
    void this.#rejoin(this.#begin("joining"), 0);
  }

  /** @internal */
  onOffline(): void {
    this.#outbox.connectionLost();
    if (this.#state !== "out") this.#begin("waiting");
  }

  /** @internal */
  onClosed(reason: ChatError): void {
    this.#begin("out");
    this.#outbox.closed(reason);
  }

  /** @internal */
  onNotification(event: string, args: unknown[], socketId: string | undefined): void {
    if (event === "roomMessage") this.#onMessage(args[0] as Stored<M>);
    else if (event === "roomHistoryGap") this.#onGap(args[0] as HistoryGap);
    else if (event === "roomStateGap") this.emit("stateGap");
    else if (event === "roomAccessRemoved") this.#onAccessRemoved();
    else if (event === "roomLeftEcho" && args[0] === socketId) this.#leaveState();
    else if (event === "roomJoinedEcho" && args[0] === socketId && this.#state === "out") void this.#adopt();
    else if (event in NOTIFICATIONS && this.#state !== "out") {
      const name = NOTIFICATIONS[event as keyof typeof NOTIFICATIONS];
      this.emit(name, ...(args as [never, never]));
    }
  }

  // Joining and catching up

  #begin(state: RoomState): number {
    this.#waiting = state === "joining" ? [] : undefined;
    this.#setState(state);
    return ++this.#turn;
  }

  #leaveState(): void {
    this.#begin("out");
    if (this.#host.isOnline()) this.#outbox.left(new ChatError("notJoined", [this.name]));
    else this.#outbox.abandoned(new ChatError("disconnected"));
  }

  /** Load the unsent messages of an earlier page. */
  #restore(): void {
    const saved = this.#host.savedOutbox<M>(this.name);
    if (saved !== undefined) this.#outbox.restore(saved);
  }

  /** The server has made this socket join. */
  async #adopt(): Promise<void> {
    try {
      await this.join(this.#options);
    } catch {
      // It has left again in the meantime, as `state` says.
    }
  }

  #onAccessRemoved(): void {
    if (this.#state === "out") return;
    this.#outbox.pause();
    // Also sent to users who may join again, when a failover of the store has lost messages.
    void this.#rejoin(this.#begin("joining"), 0);
  }

  async #rejoin(turn: number, tries: number): Promise<void> {
    try {
      await this.#enter(turn, false);
    } catch (error) {
      if (turn !== this.#turn) return;
      const code = error instanceof ChatError ? error.code : "";
      if (["notAllowed", "noRoom", "invalidName"].includes(code)) {
        this.#leaveState();
        this.emit("removed", error as ChatError);
      } else if (this.#host.isOnline()) {
        setTimeout(() => {
          if (turn === this.#turn) void this.#rejoin(turn, tries + 1);
        }, retryDelay(tries));
      }
    }
  }

  /** `isUrgent`: a caller waits for the join, so it does not queue behind rooms that are rejoined after a reconnect. */
  async #enter(turn: number, isUrgent: boolean): Promise<void> {
    await this.#host.catchUp(() => this.#joinAndCatchUp(turn), isUrgent);
    if (turn !== this.#turn) throw new ChatError("disconnected");
    this.#setState("joined");
    this.#outbox.pump();
  }

  /** Join, and deliver everything after the last delivered message, including live messages received meanwhile. */
  async #joinAndCatchUp(turn: number): Promise<void> {
    if (turn !== this.#turn) return;
    const [, told] = await this.#host.requestAll("roomJoin", this.name, this.#cursor());
    if (turn !== this.#turn) return;
    const history = told as JoinHistory<M> | undefined;
    this.#outbox.remembersKeys = history !== undefined;
    const { epoch, lastMessageId } = history ?? (await this.#readInfo());
    if (turn !== this.#turn) return;
    if (this.#historyEpoch !== undefined && this.#historyEpoch !== epoch) this.#restart(lastMessageId, history);
    this.#historyEpoch = epoch;
    this.#start(lastMessageId);
    const isWhole = history !== undefined && this.#continues(history);
    if (isWhole) for (const message of history.messages) this.#deliver(message, false);
    await this.#fill(turn, lastMessageId, !isWhole || history.more);
  }

  /** Whether the answer to a join continues after the last delivered message; otherwise the history has to be read. */
  #continues(history: JoinHistory<M>): boolean {
    const first = history.messages[0]?.id ?? history.lastMessageId + 1;
    return first <= this.lastId + 1;
  }

  /** The options of the join, which say where its answer has to begin. */
  #cursor(): Record<string, unknown> {
    if (this.#range !== undefined) return { after: this.lastId, epoch: this.#historyEpoch };
    const { after, epoch, recent = DEFAULT_RECENT } = this.#options;
    if (after !== undefined && epoch !== undefined) return { after, epoch };
    if (after === 0) return { after };
    // If the epoch of the last message is unknown, the history has to be read after the join.
    return { recent: after === undefined ? Math.max(1, recent) : 1 };
  }

  /** Read what a server without support for cursors does not include in its answer. */
  async #readInfo(): Promise<HistoryInfo> {
    const info = (await this.#host.request("roomHistoryInfo", this.name)) as HistoryInfo;
    // Ask for at least one message, even if the server does not return any.
    this.#pageSize = Math.max(1, info.historyMaxGetMessages);
    return info;
  }

  #start(lastId: number): void {
    if (this.#range !== undefined) return;
    const { after, recent = DEFAULT_RECENT } = this.#options;
    const last = after ?? Math.max(0, lastId - recent);
    this.#range = { first: last + 1, last };
    this.#isFresh = after === undefined;
  }

  /** The room began anew meanwhile: go on with all of its messages that the answer to the join holds. */
  #restart(lastId: number, history: JoinHistory<M> | undefined): void {
    const last = history === undefined ? Math.max(0, lastId - this.#pageSize) : (history.messages[0]?.id ?? lastId + 1) - 1;
    this.#range = { first: last + 1, last };
    this.#isFresh = true;
    this.#hasOlder = true;
    this.emit("restarted");
  }

  /** `more`: the history may contain messages between the last delivered one and `lastId`. */
  async #fill(turn: number, lastId: number, more: boolean): Promise<void> {
    for (;;) {
      const page = more && this.lastId < lastId ? await this.#page(this.lastId, this.#pageSize) : [];
      if (turn !== this.#turn) return;
      for (const message of page) this.#deliver(message, false);
      if (page.length > 0) continue;
      // No later message is stored. Messages that should be in the history but are not are lost.
      if (this.lastId < lastId) this.#skipTo(lastId + 1);
      const waiting = this.#waiting ?? [];
      while (waiting.length > 0 && waiting[0]!.id <= this.lastId + 1) this.#deliver(waiting.shift()!, true);
      if (waiting.length === 0) {
        this.#waiting = undefined;
        this.#isFresh = false;
        return;
      }
      // A waiting message does not follow directly: the messages in between are in the history, or lost.
      lastId = waiting[0]!.id - 1;
      more = true;
    }
  }

  async #page(after: number, limit: number, fold = false): Promise<Stored<M>[]> {
    const options = fold ? [{ fold }] : [];
    const newestFirst = await this.#host.request("roomHistoryGet", this.name, after, limit, ...options);
    return (newestFirst as Stored<M>[]).reverse();
  }

  // Messages

  #onMessage(message: Stored<M>): void {
    if (this.#waiting !== undefined) this.#waiting.push(message);
    else if (this.#state === "out" || this.#state === "waiting") return;
    else if (message.id <= this.lastId + 1) this.#deliver(message, true);
    else {
      // The server fills gaps from the history; messages that it could not read then may be available now.
      this.#waiting = [message];
      void this.#rejoin(++this.#turn, 0);
    }
  }

  /** The server reports missing messages. During a catch-up the history itself shows them. */
  #onGap(gap: HistoryGap): void {
    if (this.#waiting === undefined && gap.epoch === this.#historyEpoch && gap.to > this.lastId) {
      this.#skipTo(gap.to + 1);
    }
  }

  #deliver(message: Stored<M>, isLive: boolean): void {
    if (message.id <= this.lastId) return;
    if (message.id > this.lastId + 1) this.#skipTo(message.id);
    this.#range!.last = message.id;
    this.#isFresh = false;
    if (!message.hidden) this.emit("message", message, isLive);
  }

  /** Report that the messages between the last delivered one and an id, both exclusive, are lost. */
  #skipTo(id: number): void {
    const gap = { from: this.lastId + 1, to: id - 1 };
    this.#range!.last = gap.to;
    if (this.#isFresh) {
      this.#range!.first = id;
      this.#hasOlder = false;
      return;
    }
    this.emit("gap", gap);
  }

  #setState(state: RoomState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.emit("state", state);
  }
}
