/** The connection of a client, for user interfaces. */

import type { ChatClient, ConnectionState, Login } from "../client.js";
import type { ChatError } from "../errors.js";
import { View } from "./view.js";

export interface ConnectionSnapshot {
  state: ConnectionState;
  /** The last confirmed login. */
  login: Login | undefined;
  /** Why the client is not online, if there is a reason. */
  error: ChatError | undefined;
}

export class ConnectionView extends View<ConnectionSnapshot> {
  constructor(client: ChatClient<never>) {
    super({ state: client.state, login: client.login, error: undefined });
    client.on("state", (state, error) => this.set({ state, error, login: client.login }));
    client.on("login", (login) => this.set({ login }));
  }
}
