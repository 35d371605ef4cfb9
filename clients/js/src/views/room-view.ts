/** A room for user interfaces: joined while somebody looks at it, with its messages in their current form. */

import type { ChatClient } from "../client.js";
import { ChatError } from "../errors.js";
import type { Content, FoldedMessage, FoldedMessages } from "../interactions.js";
import type { Stored } from "../protocol.js";
import type { JoinOptions, RoomState } from "../room-types.js";
import type { Room } from "../room.js";
import { View } from "./view.js";

/** A message in its current form. Another object whenever it changes. */
export interface ShownMessage<M extends object> {
  id: number;
  author: string | undefined;
  /** Unix time in ms. */
  timestamp: number;
  /** The current content; without content if the message is deleted. */
  content: Content<M>;
  isEdited: boolean;
  isDeleted: boolean;
  /** The id of the message that this one replies to. */
  replyTo: number | undefined;
  reactions: readonly { reaction: string; count: number; isOwn: boolean }[];
  /** Has the methods `reply`, `edit`, `delete`, `react` and `unreact`. */
  actions: FoldedMessage<M>;
}

export interface RoomSnapshot<M extends object> {
  state: RoomState;
  /** In the order of ids. */
  messages: readonly ShownMessage<M>[];
  /** Whether `loadOlder` may find more. */
  hasOlder: boolean;
  /** Why the room is not joined: the join was refused, or the user was removed. */
  error: ChatError | undefined;
}

/** Options of a room, which the first component that shows it decides. */
export interface RoomOptions extends JoinOptions {
  /** How many messages are kept (1000). */
  limit?: number;
}

export class RoomView<M extends object> extends View<RoomSnapshot<M>> {
  readonly room: Room<M>;
  readonly #client: ChatClient<M>;
  readonly #options: RoomOptions;
  readonly #messages: FoldedMessages<M>;
  readonly #shown = new Map<number, ShownMessage<M>>();
  #isDrawn = true;
  #users = 0;
  #stops: (() => void)[] = [];

  constructor(client: ChatClient<M>, name: string, options: RoomOptions = {}) {
    super({ state: client.room(name).state, messages: [], hasOlder: false, error: undefined });
    this.#client = client;
    this.room = client.room(name);
    this.#options = options;
    this.#messages = this.room.folded(options.limit ?? 1000);
  }

  /** Somebody looks at the room. Returns a function for when they no longer do: the last one leaves the room. */
  readonly use = (): (() => void) => {
    this.#users += 1;
    if (this.#stops.length === 0) this.#start();
    let isUsed = true;
    return () => {
      if (!isUsed) return;
      isUsed = false;
      this.#users -= 1;
      // A component that takes the place of another one looks at the room in the same turn.
      setTimeout(() => this.#users === 0 && this.#stop());
    };
  };

  /** Load a page of older messages. Rejects with a `ChatError`. */
  readonly loadOlder = async (limit?: number): Promise<void> => {
    for (const message of await this.room.older(limit, true)) this.#take(message, true);
    this.#draw();
  };

  #start(): void {
    const { room } = this;
    this.#stops = [
      this.#client.on("state", (state) => state === "online" && this.#join()),
      room.on("message", (message) => this.#take(message, false)),
      room.on("restarted", () => this.#clear()),
      room.on("removed", (error) => this.set({ error })),
      room.on("state", (state) => this.set({ state, hasOlder: room.hasOlder })),
    ];
    this.#join();
  }

  /** Join unless the room rejoins by itself, or the client is not online yet. */
  #join(): void {
    const { room } = this;
    this.set({ state: room.state });
    if (room.state !== "out" || this.#client.state !== "online") return;
    this.#clear();
    room.join(this.#options).then(
      () => this.set({ error: undefined, hasOlder: room.hasOlder }),
      (error: unknown) => {
        // Without a connection the next login joins.
        if (error instanceof ChatError && error.code !== "disconnected") this.set({ error });
      },
    );
  }

  #stop(): void {
    if (this.#stops.length === 0) return;
    for (const stop of this.#stops) stop();
    this.#stops = [];
    this.#clear();
    this.set({ state: "out" });
    this.room.leave().catch(() => {
      // The connection was lost, which has the same effect.
    });
  }

  #clear(): void {
    this.#messages.clear();
    this.#shown.clear();
    this.set({ messages: [], hasOlder: false });
  }

  #take(message: Stored<M>, isFolded: boolean): void {
    const changed = this.#messages.take(message, isFolded);
    if (changed === undefined) return;
    this.#shown.set(changed.id, shown(changed));
    this.#draw();
  }

  /** Make one list for all messages of a turn. */
  #draw(): void {
    if (!this.#isDrawn) return;
    this.#isDrawn = false;
    queueMicrotask(() => {
      this.#isDrawn = true;
      const folded = this.#messages.list();
      const messages = folded.map((message) => this.#shown.get(message.id) ?? shown(message));
      if (this.#shown.size > messages.length) {
        this.#shown.clear();
        for (const message of messages) this.#shown.set(message.id, message);
      }
      this.set({ messages, hasOlder: this.room.hasOlder });
    });
  }
}

function shown<M extends object>(folded: FoldedMessage<M>): ShownMessage<M> {
  const { id, message, isEdited, isDeleted, replyTo, ownReactions } = folded;
  return {
    id,
    author: message.author,
    timestamp: message.timestamp,
    content: message,
    isEdited,
    isDeleted,
    replyTo,
    reactions: [...folded.reactions].map(([reaction, count]) => ({ reaction, count, isOwn: ownReactions.has(reaction) })),
    actions: folded,
  };
}
