/** One login of a user: commands, notifications, and automatic reconnects. */

import { io, type ManagerOptions, type Socket, type SocketOptions } from "socket.io-client";

import { Emitter, type EventArguments } from "./emitter.js";
import { ChatError } from "./errors.js";
import { LoginRefresh } from "./login-refresh.js";
import {
  COMMANDS,
  type AuthData,
  type Commands,
  type Notifications,
  type OwnRoom,
  type OwnRooms,
  type TextMessage,
} from "./protocol.js";
import { SavedOutbox, type OutboxStorage } from "./outbox-storage.js";
import { parserFor } from "./parser.js";
import type { RoomHost } from "./room-types.js";
import { Room } from "./room.js";
import { Slots } from "./slots.js";
import { sendFile, type Uploaded, type UploadLimits, type UploadOptions } from "./uploads.js";

/**
 * - `idle`: `connect` has not been called yet
 * - `connecting`: until the first login is confirmed
 * - `online`: logged in
 * - `reconnecting`: the connection was lost, and the client is reconnecting
 * - `closed`: closed by `close`, by the server, or by a rejected login; `connect` starts again
 */
export type ConnectionState = "idle" | "connecting" | "online" | "reconnecting" | "closed";

type Auth = Record<string, unknown>;

const NAMESPACE = "/chat-service";

export interface ChatClientOptions {
  /** The namespace of the service. */
  namespace?: string;
  /** The query of the handshake, which the server's `on_connect` hook sees. */
  query?: Record<string, string>;
  /**
   * The `auth` object of the handshake, or a function that returns it for each connection, for example with a fresh
   * token. The client also calls the function to renew a login that is about to expire. If the function fails or takes
   * longer than `connectTimeout` after a lost connection, the client calls it again later.
   */
  auth?: Auth | (() => Auth | Promise<Auth>);
  /** Maximum time in milliseconds to wait for the answer to a command (10 000). */
  timeout?: number;
  /** Maximum time in milliseconds to wait for a connection, and again for its login (10 000). */
  connectTimeout?: number;
  /** Milliseconds before the first attempt to reconnect (500); later attempts wait longer, up to the maximum (10 000). */
  reconnectDelay?: number;
  maxReconnectDelay?: number;
  /** Milliseconds to wait after a failed attempt to renew the login (1000); the delay doubles each time. */
  refreshDelay?: number;
  /** How many rooms catch up on their history at the same time after a reconnect (1). */
  parallelCatchUps?: number;
  /** Maximum number of messages to one room that wait for their answers (1000). */
  outboxSize?: number;
  /**
   * How long in milliseconds to retry a message without an answer (240 000). Keep it below the server's
   * `idempotency_window`.
   */
  outboxMaxAge?: number;
  /**
   * Where to store unsent messages so that they survive a reload: `sessionStorage` for this tab, `localStorage` for all
   * tabs and across restarts of the browser. They are sent when their room is joined again.
   */
  outboxStorage?: OutboxStorage;
  /** Maximum number of binary values in a packet from the server (1000); a packet with more closes the connection. */
  maxAttachments?: number;
  /** Further options of socket.io-client, such as `path`, `transports`, `parser`, `extraHeaders`. */
  socketOptions?: Partial<ManagerOptions & SocketOptions>;
}

/** A confirmed login. `id`: the id of the socket, which changes with each reconnect. */
export interface Login {
  userName: string;
  id: string;
  authData: AuthData;
}

/** Events of the client besides the notifications. */
export interface ClientEvents {
  /** The connection state changed. `reason` says why, if there is a reason. */
  state(state: ConnectionState, reason: ChatError | undefined): void;
  /** A login was confirmed: the first one, or the one after a reconnect. */
  login(login: Login, isReconnect: boolean): void;
  /** The login was renewed. `expiresAt`: its new expiry time in seconds of Unix time, or null if it does not expire. */
  loginRefreshed(expiresAt: number | null): void;
  /** An attempt to renew the login failed. `error`: a `ChatError`, or the error that the `auth` function threw. */
  loginRefreshFailed(error: unknown, willRetry: boolean): void;
}

/** Commands as methods that return promises. */
export type CommandMethods<M> = {
  readonly [K in keyof Commands<M>]: (
    ...args: Parameters<Commands<M>[K]>
  ) => Promise<ReturnType<Commands<M>[K]>>;
};

/** All events of a client. `Custom`: the events that your server sends. */
export type Events<M, Custom> = ClientEvents & Notifications<M> & Custom;

/** Commands of any name, with any arguments. */
export type AnyCommands = Record<string, (...args: unknown[]) => unknown>;
export type ArgumentsOf<F> = F extends (...args: infer A) => unknown ? A : never;
export type ResultOf<F> = F extends (...args: never[]) => infer R ? R : never;

/**
 * `M`: the type of messages. `Custom`: an interface with the events that your server sends. `Own`: an interface with the
 * commands that your application has added, as `chat-service typings` writes it.
 */
export class ChatClient<
  M extends object = TextMessage,
  Custom extends object = object,
  Own extends object = AnyCommands,
> extends Emitter<Events<M, Custom>> {
  /** The commands: `await client.commands.roomCreate("tea", false)`. */
  readonly commands: CommandMethods<M>;
  readonly #url: string;
  readonly #options: ChatClientOptions;
  readonly #rooms = new Map<string, Room<M>>();
  readonly #host: RoomHost;
  /** Only with an `auth` function. */
  readonly #refresh: LoginRefresh | undefined;
  readonly #wake = () => this.retryNow();
  #socket: Socket | undefined;
  #state: ConnectionState = "idle";
  #login: Login | undefined;
  /** Settles the promise of `connect`. */
  #connecting: { resolve(login: Login): void; reject(error: ChatError): void } | undefined;
  #loginTimer: ReturnType<typeof setTimeout> | undefined;
  /** Waits to connect again after the `auth` function has failed. */
  #authTimer: ReturnType<typeof setTimeout> | undefined;
  /** How often the `auth` function has failed since the last login. */
  #authFailures = 0;

  /** `url`: the address of the server. In a browser, an empty address means the server of the page. */
  constructor(url = "", options: ChatClientOptions = {}) {
    super();
    this.#url = url.replace(/\/$/, "");
    this.#options = options;
    const methods = COMMANDS.map((name) => [name, (...args: unknown[]) => this.request(name, ...args)]);
    this.commands = Object.freeze(Object.fromEntries(methods)) as CommandMethods<M>;
    const slots = new Slots(options.parallelCatchUps ?? 1);
    this.#host = {
      catchUp: (work, isUrgent) => slots.run(work, isUrgent),
      request: (event, ...args) => this.request(event, ...args),
      requestAll: (event, ...args) => this.requestAll(event, ...args),
      outboxLimits: { size: options.outboxSize ?? 1000, maxAge: options.outboxMaxAge ?? 240_000 },
      savedOutbox: (room) => this.#savedOutbox(room),
      userName: () => this.#login?.userName,
      server: this.#url,
      upload: (room, file, uploadOptions) => this.upload(room, file, uploadOptions),
      isOnline: () => this.#state === "online",
      isClosed: () => this.#state === "closed",
    };
    const { auth, timeout = 10_000, refreshDelay = 1000 } = options;
    if (typeof auth !== "function") return;
    this.#refresh = new LoginRefresh({
      credentials: auth,
      refresh: (credentials) => this.call("loginRefresh", credentials),
      onRefreshed: (expiresAt) => this.#tell("loginRefreshed", expiresAt),
      onFailed: (error, willRetry) => this.#tell("loginRefreshFailed", error, willRetry),
      timeout,
      delay: refreshDelay,
    });
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** The last confirmed login. */
  get login(): Login | undefined {
    return this.#login;
  }

  /** The socket of socket.io-client, once `connect` has been called. */
  get socket(): Socket | undefined {
    return this.#socket;
  }

  /** The rooms for which `room` has been called. */
  get rooms(): readonly Room<M>[] {
    return [...this.#rooms.values()];
  }

  /** The room with this name; always the same object for the same name. This does not join the room. */
  room(name: string): Room<M> {
    let room = this.#rooms.get(name);
    if (room === undefined) {
      room = new Room<M>(this.#host, name);
      this.#rooms.set(name, room);
    }
    return room;
  }

  /** Open the conversation with a user, who may be offline. It is a room for the two; this does not join it. */
  async conversation(userName: string): Promise<Room<M>> {
    return this.room((await this.request("directOpen", userName)) as string);
  }

  /** The user's rooms that outlive connections: conversations, and those that were joined and not left. */
  async *ownRooms(): AsyncGenerator<OwnRoom, void, undefined> {
    let cursor: string | null = null;
    do {
      const page = (await this.request("listOwnRooms", { cursor })) as OwnRooms;
      yield* page.rooms;
      cursor = page.cursor;
    } while (cursor !== null);
  }

  /**
   * Connect and log in; resolves when the login is confirmed. Rejects with the server's error if the login is rejected,
   * and with `connectFailed` or `noAnswer` if the server cannot be reached; you may then call it again.
   */
  connect(): Promise<Login> {
    if (this.#state !== "idle" && this.#state !== "closed") {
      return Promise.reject(new ChatError("connectFailed", ["connect has already been called"]));
    }
    return new Promise((resolve, reject) => {
      this.#connecting = { resolve, reject };
      this.#setState("connecting");
      const socket = this.#makeSocket();
      this.#socket = socket;
      this.#listen(socket);
      this.#expectLogin();
      socket.connect();
      globalThis.addEventListener?.("online", this.#wake);
    });
  }

  /** Close the connection. Pending commands are rejected with `disconnected`. */
  close(): void {
    this.#end(new ChatError("disconnected"));
  }

  /** Reconnect immediately instead of after the delay. This happens automatically when a browser comes online. */
  retryNow(): void {
    if (this.#state !== "reconnecting" || this.#socket?.connected) return;
    clearTimeout(this.#authTimer);
    // Cancels the attempt that is waiting for its delay.
    this.#socket?.disconnect();
    this.#socket?.connect();
  }

  /** Run a command. Rejects with a `ChatError`: the server's error, `disconnected` or `noAnswer`. */
  async call<K extends keyof Commands<M>>(
    command: K,
    ...args: Parameters<Commands<M>[K]>
  ): Promise<ReturnType<Commands<M>[K]>> {
    return (await this.request(command, ...args)) as ReturnType<Commands<M>[K]>;
  }

  /** Run a command that your application has added to the service. `Own` has its types. */
  async command<K extends keyof Own & string>(name: K, ...args: ArgumentsOf<Own[K]>): Promise<ResultOf<Own[K]>> {
    return (await this.request(name, ...args)) as ResultOf<Own[K]>;
  }

  /** Like `call`, for any event with an ack, such as custom events that your server handles. */
  async request(event: string, ...args: unknown[]): Promise<unknown> {
    return (await this.requestAll(event, ...args))[0];
  }

  /** Like `request`, but resolves with all values after the error, for example those requested by options. */
  requestAll(event: string, ...args: unknown[]): Promise<unknown[]> {
    const socket = this.#socket;
    if (this.#state !== "online" || !socket?.connected) return Promise.reject(new ChatError("disconnected"));
    return new Promise((resolve, reject) => {
      socket.timeout(this.#options.timeout ?? 10_000).emit(event, ...args, (lost: Error | null, error: unknown, ...results: unknown[]) => {
        if (lost) reject(socket.connected ? new ChatError("noAnswer", [event]) : new ChatError("disconnected"));
        else if (error !== null && error !== undefined) reject(ChatError.fromWire(error));
        else resolve(results);
      });
    });
  }

  /** What the server takes as uploads; null if it takes none. Rejects with a `ChatError`. */
  async uploadLimits(): Promise<UploadLimits | null> {
    try {
      return (await this.request("uploadLimits")) as UploadLimits;
    } catch (error) {
      if (error instanceof ChatError && error.code === "noCommand") return null;
      throw error;
    }
  }

  /**
   * Upload a file to a joined room, without telling anybody yet: `room.sendFiles` does. Rejects with a `ChatError`: the
   * server's refusal, such as `uploadTooLarge` or `uploadTypeNotAllowed`, `uploadCancelled`, or `disconnected`.
   */
  upload(room: string, file: Blob, options: UploadOptions = {}): Promise<Uploaded> {
    const name = options.name ?? (file as Blob & { name?: string }).name ?? "file";
    const wanted = { name, bytes: file.size, ...(file.type !== "" && { type: file.type }) };
    return sendFile(() => this.request("uploadTicket", room, wanted), this.#url, file, options);
  }

  #savedOutbox<T>(room: string): SavedOutbox<T> | undefined {
    const { outboxStorage, namespace = NAMESPACE } = this.#options;
    if (outboxStorage === undefined || this.#login === undefined || this.#state === "closed") return undefined;
    return new SavedOutbox<T>(outboxStorage, this.#url + namespace, this.#login.userName, room);
  }

  get #connectTimeout(): number {
    return this.#options.connectTimeout ?? 10_000;
  }

  #makeSocket(): Socket {
    const { auth, query, namespace = NAMESPACE, maxAttachments = 1000, socketOptions } = this.#options;
    return io(this.#url + namespace, {
      reconnectionDelay: this.#options.reconnectDelay ?? 500,
      reconnectionDelayMax: this.#options.maxReconnectDelay ?? 10_000,
      timeout: this.#connectTimeout,
      parser: parserFor(maxAttachments),
      ...socketOptions,
      ...(query && { query }),
      ...(auth && { auth: typeof auth === "function" ? this.#authFrom(auth) : auth }),
      autoConnect: false,
      forceNew: true,
    });
  }

  #authFrom(make: () => Auth | Promise<Auth>): (send: (auth: Auth) => void) => void {
    return (send) => {
      const socket = this.#socket;
      const engine = socket?.io.engine;
      // The next connection calls the function again.
      const isCurrent = () =>
        socket === this.#socket && engine === socket?.io.engine && engine?.readyState === "open";
      if (this.#state === "reconnecting") this.#expectLogin();
      void Promise.resolve()
        .then(make)
        .then(
          (auth) => void (isCurrent() && send(auth)),
          (error: unknown) => void (isCurrent() && this.#onAuthFailed(error)),
        );
    };
  }

  #onAuthFailed(error: unknown): void {
    const reason = new ChatError("connectFailed", [String(error)]);
    if (this.#state === "connecting") return this.#end(reason);
    // The application may be able to give credentials again later. Do not hold a connection without a login until then.
    clearTimeout(this.#loginTimer);
    this.#socket?.disconnect();
    const { reconnectDelay = 500, maxReconnectDelay = 10_000 } = this.#options;
    const delay = Math.min(reconnectDelay * 2 ** this.#authFailures, maxReconnectDelay);
    this.#authFailures += 1;
    // Add jitter, because many clients may lose their server at the same moment.
    this.#authTimer = setTimeout(() => this.#socket?.connect(), delay * (0.5 + Math.random() / 2));
    this.#tell("state", this.#state, reason);
  }

  #listen(socket: Socket): void {
    const onlyCurrent =
      <Args extends unknown[]>(listener: (...args: Args) => void) =>
      (...args: Args) => {
        if (socket === this.#socket) listener(...args);
      };
    socket.on("connect", onlyCurrent(() => this.#expectLogin()));
    socket.on("connect_error", onlyCurrent((error: Error) => this.#onConnectError(socket, error)));
    socket.on("disconnect", onlyCurrent((reason: string) => this.#onDisconnect(reason)));
    socket.onAny(onlyCurrent((event: string, ...args: unknown[]) => this.#onEvent(event, args)));
  }

  #onEvent(event: string, args: unknown[]): void {
    if (event === "loginConfirmed") this.#onLoginConfirmed(args[0] as string, args[1] as AuthData);
    if (event === "loginExpiring") this.#refresh?.onExpiring(args[0] as number);
    if (event === "loginRejected") return this.#end(ChatError.fromWire(args[0]));
    const room = typeof args[0] === "string" ? this.#rooms.get(args[0]) : undefined;
    room?.onNotification(event, args.slice(1), this.#login?.id);
    const [name, values] = [event, args] as unknown as [keyof Notifications<M>, never];
    this.emit(name, ...(values as EventArguments<Events<M, Custom>[typeof name]>));
  }

  #onLoginConfirmed(userName: string, authData: AuthData): void {
    clearTimeout(this.#loginTimer);
    this.#authFailures = 0;
    const login = { userName, id: authData.id, authData };
    const isReconnect = this.#state === "reconnecting";
    this.#login = login;
    this.#setState("online");
    this.#connecting?.resolve(login);
    this.#connecting = undefined;
    this.#tell("login", login, isReconnect);
    for (const room of this.#rooms.values()) room.onOnline();
  }

  #onConnectError(socket: Socket, error: Error): void {
    // A socket that the server has refused does not reconnect automatically.
    if (this.#state === "connecting" || !socket.active) {
      this.#end(new ChatError("connectFailed", [error.message]));
    } else {
      this.#tell("state", this.#state, new ChatError("connectFailed", [error.message]));
    }
  }

  #onDisconnect(reason: string): void {
    clearTimeout(this.#loginTimer);
    this.#refresh?.stop();
    if (reason === "io server disconnect") this.#end(new ChatError("disconnected"));
    else if (this.#state === "connecting") this.#end(new ChatError("connectFailed", [reason]));
    else if (this.#state === "online") {
      this.#setState("reconnecting", new ChatError("disconnected"));
      for (const room of this.#rooms.values()) room.onOffline();
    }
  }

  /** Wait for the server to confirm or reject the login, up to the timeout. */
  #expectLogin(): void {
    clearTimeout(this.#loginTimer);
    const engine = this.#socket?.io.engine;
    this.#loginTimer = setTimeout(() => {
      const error = new ChatError("noAnswer", ["the login"]);
      if (this.#state === "connecting") this.#end(error);
      else engine?.close(); // and reconnect
    }, this.#connectTimeout);
  }

  #end(reason: ChatError): void {
    const socket = this.#socket;
    clearTimeout(this.#loginTimer);
    clearTimeout(this.#authTimer);
    this.#authFailures = 0;
    this.#refresh?.stop();
    globalThis.removeEventListener?.("online", this.#wake);
    if (this.#state === "idle" || this.#state === "closed") return;
    this.#socket = undefined;
    this.#setState("closed", reason);
    socket?.disconnect();
    for (const room of this.#rooms.values()) room.onClosed(reason);
    this.#connecting?.reject(reason);
    this.#connecting = undefined;
  }

  #setState(state: ConnectionState, reason?: ChatError): void {
    this.#state = state;
    this.#tell("state", state, reason);
  }

  /** Emit one of the client's own events. The type of all events is too general for the type checker here. */
  #tell<K extends keyof ClientEvents>(event: K, ...args: Parameters<ClientEvents[K]>): void {
    this.emit(event, ...(args as unknown as EventArguments<Events<M, Custom>[K]>));
  }
}
