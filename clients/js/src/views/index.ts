/** The views of a client: one of each kind for all components that show the same thing. */

import type { ChatClient } from "../client.js";
import { ConnectionView } from "./connection-view.js";
import { PresenceView } from "./presence-view.js";
import { RoomView, type RoomOptions } from "./room-view.js";
import { TypingView } from "./typing-view.js";

export type { ConnectionSnapshot } from "./connection-view.js";
export type { PresenceSnapshot } from "./presence-view.js";
export type { RoomOptions, RoomSnapshot, ShownMessage } from "./room-view.js";
export type { TypingSnapshot } from "./typing-view.js";
export { ConnectionView, PresenceView, RoomView, TypingView };

export class Views<M extends object> {
  readonly client: ChatClient<M>;
  readonly connection: ConnectionView;
  readonly #rooms = new Map<string, RoomView<M>>();

  constructor(client: ChatClient<M>) {
    this.client = client;
    this.connection = new ConnectionView(client as unknown as ChatClient<never>);
  }

  /** The view of a room; `options` count for the first call with this name. */
  room(name: string, options?: RoomOptions): RoomView<M> {
    let view = this.#rooms.get(name);
    if (view === undefined) {
      view = new RoomView<M>(this.client, name, options);
      this.#rooms.set(name, view);
    }
    return view;
  }

  presence(name: string, limit?: number): PresenceView {
    return new PresenceView(this.client as unknown as ChatClient<never>, name, limit);
  }

  typing(name: string): TypingView {
    return new TypingView(this.client as unknown as ChatClient<never>, name);
  }

  /**
   * Connect unless somebody has done so. Returns a function that closes the connection, if it was opened here. A
   * rejected login is told by the connection's view.
   */
  readonly open = (): (() => void) => {
    if (this.client.state !== "idle" && this.client.state !== "closed") return () => undefined;
    this.client.connect().catch(() => undefined);
    return () => this.client.close();
  };
}

const known = new WeakMap<object, Views<never>>();

/** The views of a client; always the same object for the same client. */
export function viewsOf<M extends object>(client: ChatClient<M>): Views<M> {
  let views = known.get(client) as Views<M> | undefined;
  if (views === undefined) {
    views = new Views(client);
    known.set(client, views as unknown as Views<never>);
  }
  return views;
}
