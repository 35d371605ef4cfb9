/** Who is in a room, for user interfaces. */

import type { ChatClient } from "../client.js";
import type { MemberStatus } from "../protocol.js";
import type { Room } from "../room.js";
import { View } from "./view.js";

export interface PresenceSnapshot {
  /** The first members, by name. */
  members: readonly MemberStatus[];
  /** How many there are. */
  count: number;
}

/** Milliseconds between two requests for the members. */
const PAUSE = 1000;

export class PresenceView extends View<PresenceSnapshot> {
  readonly #client: ChatClient<never>;
  readonly #room: Room<never>;
  readonly #limit: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isReading = false;
  #isStale = false;

  constructor(client: ChatClient<never>, name: string, limit = 100) {
    super({ members: [], count: 0 });
    this.#client = client;
    this.#room = client.room(name);
    this.#limit = limit;
  }

  /** Follow the members until the returned function is called. */
  readonly use = (): (() => void) => {
    const read = () => this.#readSoon();
    const room = this.#room;
    const stops = [
      room.on("userJoined", read),
      room.on("userLeft", read),
      room.on("memberUpdated", read),
      room.on("stateGap", read),
      room.on("state", (state) => state === "joined" && read()),
    ];
    if (room.state === "joined") read();
    return () => {
      for (const stop of stops) stop();
      clearTimeout(this.#timer);
      this.#timer = undefined;
    };
  };

  /** Many people may come at once: read at once, then at most once in a while. */
  #readSoon(): void {
    if (this.#timer !== undefined || this.#isReading) {
      this.#isStale = true;
      return;
    }
    this.#isStale = false;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#isStale) this.#readSoon();
    }, PAUSE);
    void this.#read();
  }

  async #read(): Promise<void> {
    this.#isReading = true;
    try {
      const status = await this.#client.commands.roomGetStatus(this.#room.name, { limit: this.#limit });
      this.set({ members: status.members, count: status.membersCount });
    } catch {
      // Not joined any more, or no connection: the next join reads again.
    } finally {
      this.#isReading = false;
      if (this.#isStale) this.#readSoon();
    }
  }
}
