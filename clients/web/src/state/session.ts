/** The state and actions of the page, from login to sign-out. */

import { ChatClient, ChatError, type ConnectionState, type TextMessage } from "@chat-service/client";
import { computed, effect, signal } from "@preact/signals";

import type { Conversation } from "./conversation.js";
import { clearPlace, placeIn, type Place } from "./address.js";
import { DirectConversation, directRoom, peerIn } from "./direct.js";
import type { Client, DemoEvents, RoomEntry } from "./demo.js";
import type { Host } from "./host.js";
import { explainLogin, LoginProblem, Logins } from "./logins.js";
import { Notifier } from "./notifier.js";
import { byName } from "./order.js";
import { lastSeen, type Seen } from "./people.js";
import { Preferences } from "./preferences.js";
import { revealMessage } from "./reveal.js";
import { RoomConversation } from "./room.js";
import { lastName, savedDirects, savedRooms, savedUnsent, tabUser, type SavedRoom } from "./storage.js";
import { explain, isolated } from "./texts.js";

export interface Toast {
  id: number;
  text: string;
  isError: boolean;
}

/** A dialog that does not belong to a part of the page. */
export type Overlay =
  | { kind: "palette" | "keys" }
  | { kind: "search"; query: string }
  | { kind: "profile"; name: string };

const HOME = "default";
const TOAST_MS = 6000;

export class Chat implements Host {
  /** "" before the login. */
  readonly userName = signal("");
  readonly connection = signal<ConnectionState>("idle");
  /** Whether a login from before a reload is being resumed. */
  readonly isResuming = signal(false);
  /** All existing rooms. */
  readonly directory = signal<ReadonlyMap<string, RoomEntry>>(new Map());
  readonly conversations = signal<readonly Conversation[]>([]);
  readonly activeKey = signal<string | null>(null);
  readonly active = computed(() => this.conversations.value.find((one) => one.key === this.activeKey.value));
  readonly toasts = signal<Toast[]>([]);
  /** Open dialogs. They show the toasts, because the rest of the page is inert then. */
  readonly dialogs = signal(0);
  readonly preferences = new Preferences();
  readonly notifier = new Notifier(this.preferences, (conversation) => this.open(conversation));
  readonly overlay = signal<Overlay | null>(null);
  /** Where the address of the page leads, until the user is there. */
  readonly place = signal<Place | null>(null);
  /** The next announcement for screen readers. */
  readonly announcement = signal("");
  readonly logins: Logins;
  readonly #url: string;
  #client: Client | undefined;
  #toasts = 0;
  #blocked = new Set<string>();
  /** Rooms that are being joined because the user wants to see them. */
  readonly #entering = new Map<string, Promise<void>>();
  /** Functions that stop keeping unsent messages, by conversation. */
  readonly #keeping = new Map<Conversation, () => void>();

  constructor(url = "") {
    this.#url = url;
    this.logins = new Logins(url);
    window.addEventListener("focus", () => {
      if (this.active.value) this.notifier.clear(this.active.value);
    });
    effect(() => {
      const muted = this.preferences.muted.value;
      const heard = this.conversations.value.filter((one) => !muted.has(one.key));
      const unread = heard.reduce((sum, one) => sum + one.unread.value, 0);
      const name = this.active.value?.name;
      document.title = (unread > 0 ? `(${unread}) ` : "") + (name === undefined ? "Chat" : `${isolated(name)} · Chat`);
    });
  }

  /** Rejects with a `ChatError`. */
  async login(name: string): Promise<void> {
    const client: Client = new ChatClient<TextMessage, DemoEvents>(this.#url, {
      auth: () => this.#auth(name),
      // Long-polling only where WebSocket does not work: this saves a request per connection.
      socketOptions: { transports: ["websocket", "polling"], tryAllTransports: true },
    });
    this.#client = client;
    this.#listen(client);
    await client.connect();
    if (this.logins.isByName) {
      lastName.set(name);
      tabUser.set(name);
    }
    for (const one of this.conversations.value) this.#forget(one);
    this.conversations.value = [];
    this.preferences.load(name);
    this.userName.value = name;
    for (const peer of savedDirects.get(name)) this.#direct(peer);
    await this.#refresh(client);
    await this.#joinSaved(client, name);
    await this.goToPlace();
  }

  /** Resume where this tab was before a reload, or the session of this browser. */
  async resume(): Promise<void> {
    this.isResuming.value = true;
    try {
      await this.logins.load();
      const name = this.logins.isByName ? tabUser.get() : this.logins.state.value.user;
      if (name !== null) await this.login(name);
    } catch (error) {
      this.#leave();
      this.toast(error instanceof ChatError ? explain(error) : explainLogin(error), true);
    } finally {
      this.isResuming.value = false;
    }
  }

  /** What a socket logs in with. If the session is over, so is everything on the page. */
  async #auth(name: string): Promise<Record<string, unknown>> {
    try {
      return await this.logins.auth(name);
    } catch (problem) {
      if (problem instanceof LoginProblem && (problem.code === "noSession" || problem.code === "otherUser")) {
        this.#leave();
        void this.logins.load().catch(() => undefined);
        this.toast(explainLogin(problem), true);
      }
      throw problem;
    }
  }

  signOut(): void {
    this.#leave();
    void this.logins.end().catch(() => this.toast("The server could not be told that you have logged out.", true));
  }

  /** Forget everything of the user. */
  #leave(): void {
    this.#client?.close();
    this.#client = undefined;
    for (const one of this.conversations.value) this.#forget(one);
    this.notifier.clear();
    this.overlay.value = null;
    savedDirects.set(this.userName.value, undefined);
    savedUnsent.clear(this.userName.value);
    tabUser.set(undefined);
    this.userName.value = "";
    this.conversations.value = [];
    this.activeKey.value = null;
    this.directory.value = new Map();
  }

  retryConnection(): void {
    const client = this.#client;
    if (client?.state !== "closed") return client?.retryNow();
    // The server has closed it for good: start again, with the same rooms.
    const name = this.userName.value;
    this.login(name).catch((error: unknown) => this.toast(explain(error), true));
  }

  // Conversations

  /** Read the address of the page, which may lead to a room, and go there once the user is logged in. */
  readPlace(): void {
    const place = placeIn(location.hash);
    if (place === null) return;
    clearPlace();
    this.place.value = place;
    if (this.connection.value === "online") void this.goToPlace();
  }

  /** Join the room that the address of the page has named, and show its message. */
  async goToPlace(): Promise<void> {
    const place = this.place.value;
    if (place === null || this.userName.value === "") return;
    this.place.value = null;
    if (place.id === null) await this.tryRoom(place.room);
    else await revealMessage(this, place.room, place.id);
  }

  open(conversation: Conversation | null): void {
    const before = this.active.value;
    if (before && before !== conversation) before.divider.value = null;
    this.activeKey.value = conversation?.key ?? null;
    if (conversation) this.notifier.clear(conversation);
    if (conversation && conversation.unread.value > 0) {
      conversation.divider.value = conversation.lastRead();
    }
  }

  /** Join a room if necessary, and show it. Rejects with a `ChatError`. */
  async openRoom(name: string): Promise<void> {
    const known = this.#find("room", name);
    if (known && known.closed.value === null) return this.open(known);
    // A second click must not join twice.
    const entering = this.#entering.get(name) ?? this.#enter(name, known).finally(() => this.#entering.delete(name));
    this.#entering.set(name, entering);
    await entering;
  }

  async #enter(name: string, known: RoomConversation | undefined): Promise<void> {
    const client = this.#need();
    known?.dispose();
    const room = new RoomConversation(this, client, name, undefined);
    try {
      await room.join();
    } catch (error) {
      room.dispose();
      throw error;
    }
    if (known) this.#remove(known);
    this.#add(room);
    this.open(room);
  }

  /** Like `openRoom`, but shows errors. */
  async tryRoom(name: string): Promise<boolean> {
    const room = isolated(name);
    const notAllowed = this.directory.value.get(name)?.whitelistOnly
      ? `${room} is for invited people only. Its owner can let you in.`
      : `${room} does not let you in. Its owner or an admin can change that.`;
    return this.attempt(this.openRoom(name), { notAllowed });
  }

  /** Rejects with a `ChatError`. */
  async createRoom(name: string, whitelistOnly: boolean): Promise<void> {
    await this.#need().commands.roomCreate(name, whitelistOnly);
  }

  openDirect(peer: string): void {
    this.open(this.#direct(peer));
  }

  async leave(conversation: Conversation): Promise<void> {
    this.#remove(conversation);
    savedUnsent.set(this.userName.value, conversation.key, { draft: "", outgoing: [] });
    if (!(conversation instanceof RoomConversation)) return;
    savedRooms.remove(this.userName.value, conversation.roomName);
    if (conversation.kind === "direct" && !conversation.isJoined) return;
    await conversation.leave();
  }

  /** A message from someone else arrived that the user has not read. */
  onUnread(conversation: Conversation, author: string, text: string, isLive: boolean): void {
    const isSeen = conversation === this.active.value && document.visibilityState === "visible";
    if (isLive && isSeen) this.announcement.value = `${author}: ${text}`;
    if (isLive) this.notifier.tell(conversation, author, text);
    conversation.unread.value += 1;
  }

  onRemoved(room: RoomConversation): void {
    savedRooms.remove(this.userName.value, room.roomName);
    // It was closed on another device.
    if (room.kind === "direct") return this.#remove(room);
    // If the conversation is open, it shows the message itself.
    if (room !== this.active.value) this.toast(room.closed.value?.text ?? "", true);
  }

  saveRoom(room: SavedRoom): void {
    if (this.userName.value) savedRooms.put(this.userName.value, room);
  }

  #saveDirects(): void {
    const directs = this.conversations.value.filter((one) => one.kind === "direct");
    if (this.userName.value) savedDirects.set(this.userName.value, directs.map((one) => one.name));
  }

  /** When a person was last in one of the user's rooms; null if the server does not know. */
  lastSeen(name: string): Promise<Seen | null> {
    return lastSeen(this.conversations.value, name);
  }

  // Notices for the user

  toast(text: string, isError = false): void {
    const id = ++this.#toasts;
    this.toasts.value = [...this.toasts.value.slice(-2), { id, text, isError }];
    setTimeout(() => this.dismiss(id), TOAST_MS);
  }

  dismiss(id: number): void {
    this.toasts.value = this.toasts.value.filter((toast) => toast.id !== id);
  }

  /** Run something and show its error. Returns whether it succeeded. */
  async attempt(work: Promise<unknown>, special?: Record<string, string>): Promise<boolean> {
    try {
      await work;
      return true;
    } catch (error) {
      this.toast(explain(error, special), true);
      return false;
    }
  }

  // Events

  #listen(client: Client): void {
    client.on("state", (state, reason) => this.#onState(client, state, reason));
    client.on("login", (_, isReconnect) => {
      if (isReconnect) void this.#refresh(client);
    });
    client.on("roomListChanged", (changed, removed) => {
      const directory = new Map(this.directory.value);
      for (const room of changed) directory.set(room.name, room);
      for (const name of removed) directory.delete(name);
      this.directory.value = directory;
    });
    client.on("directOpened", (_, peer) => void this.#joinDirect(peer));
    // Other programs may send messages that are not stored.
    client.on("directMessage", ({ author, textMessage }) => this.toast(`${author}: ${textMessage}`));
  }

  #onState(client: Client, state: ConnectionState, _reason: ChatError | undefined): void {
    if (client !== this.#client) return;
    const before = this.connection.value;
    this.connection.value = state;
    if (state !== "online" || before !== "reconnecting") return;
    this.toast("You are back online.");
    void this.goToPlace();
  }

  async #refresh(client: Client): Promise<void> {
    try {
      const [rooms, blocked] = await Promise.all([
        client.request("roomList") as Promise<RoomEntry[]>,
        client.commands.directGetAccessList("blacklist"),
      ]);
      this.directory.value = new Map(rooms.map((room) => [room.name, room]));
      this.#blocked = new Set(blocked);
      for (const one of this.conversations.value) {
        if (one instanceof DirectConversation) one.isBlocked.value = this.#blocked.has(one.name);
      }
    } catch {
      // The connection was lost again; the request is repeated after the next login.
    }
  }

  async #joinSaved(client: Client, user: string): Promise<void> {
    const saved = savedRooms.get(user);
    const known = (saved ?? []).filter((room) => peerIn(room.name, user) === null);
    const listed = await this.#listed(client);
    const names = new Set([...known.map((room) => room.name), ...listed.rooms]);
    const rooms = [...names].map(
      (name) => new RoomConversation(this, client, name, known.find((room) => room.name === name)),
    );
    const directs = listed.peers.map((peer) => this.#joinDirect(peer));
    await Promise.all([...rooms.map((room) => this.#joinAgain(room)), ...directs]);
    if (saved === null && rooms.length === 0 && this.directory.value.has(HOME)) await this.attempt(this.openRoom(HOME));
    const first = this.conversations.value.find((one) => one.kind === "room");
    // On a phone, show the list first.
    if (first && this.activeKey.value === null && matchMedia("(min-width: 50rem)").matches) this.open(first);
  }

  /** What the user's other devices have joined, and the people with whom there is a conversation. */
  async #listed(client: Client): Promise<{ rooms: string[]; peers: string[] }> {
    const rooms: string[] = [];
    const peers: string[] = [];
    try {
      for await (const { roomName, userName } of client.ownRooms()) {
        if (userName === null) rooms.push(roomName);
        else peers.push(userName);
      }
    } catch {
      // The connection was lost again. What this device knows is shown.
    }
    return { rooms, peers };
  }

  /** Show a conversation that is on the server. */
  async #joinDirect(peer: string): Promise<void> {
    const direct = this.#direct(peer);
    if (direct.isJoined) return;
    try {
      await direct.join();
    } catch (error) {
      if (error instanceof ChatError && error.code === "noRoom") this.#remove(direct);
      else direct.closed.value = { text: explain(error), again: "Try again" };
    }
  }

  async #joinAgain(room: RoomConversation): Promise<void> {
    this.#add(room);
    try {
      await room.join();
    } catch (error) {
      const name = isolated(room.name);
      const text = explain(error, {
        notAllowed: `You no longer have access to ${name}.`,
        noRoom: `${name} was deleted.`,
      });
      if (error instanceof ChatError && ["notAllowed", "noRoom", "invalidName"].includes(error.code)) {
        this.#remove(room);
        savedRooms.remove(this.userName.value, room.name);
        this.toast(text, true);
      } else room.closed.value = { text, again: "Try again" };
    }
  }

  #direct(peer: string): DirectConversation {
    const known = this.#find("direct", peer);
    if (known) return known;
    const user = this.userName.value;
    const saved = savedRooms.get(user)?.find((room) => room.name === directRoom(user, peer));
    const made = new DirectConversation(this, this.#need(), peer, saved);
    made.isBlocked.value = this.#blocked.has(peer);
    this.#add(made);
    return made;
  }

  #find(kind: "room", name: string): RoomConversation | undefined;
  #find(kind: "direct", name: string): DirectConversation | undefined;
  #find(kind: string, name: string): Conversation | undefined {
    return this.conversations.value.find((one) => one.kind === kind && one.name === name);
  }

  #add(conversation: Conversation): void {
    const all = [...this.conversations.value, conversation];
    this.conversations.value = all.sort(byName);
    this.#keeping.set(conversation, conversation.keepUnsent(this.userName.value));
    if (conversation.kind === "direct") this.#saveDirects();
  }

  #remove(conversation: Conversation): void {
    this.#forget(conversation);
    this.conversations.value = this.conversations.value.filter((one) => one !== conversation);
    if (this.activeKey.value === conversation.key) this.open(null);
    if (conversation.kind === "direct") this.#saveDirects();
  }

  /** Stop listening for a conversation. Unsent messages are kept. */
  #forget(conversation: Conversation): void {
    this.#keeping.get(conversation)?.();
    this.#keeping.delete(conversation);
    if (conversation instanceof RoomConversation) conversation.dispose();
  }

  #need(): Client {
    if (this.#client === undefined) throw new Error("not logged in");
    return this.#client;
  }
}
