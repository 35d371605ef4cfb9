/** The conversation with one person: a room for two, which is made with the first message. */

import { newKey as newIdempotencyKey } from "@chat-service/client";
import { signal } from "@preact/signals";

import type { Client } from "./demo.js";
import type { Host } from "./host.js";
import { compareCodePoints } from "./order.js";
import { RoomConversation } from "./room.js";
import type { SavedRoom } from "./storage.js";
import { explain, isolated } from "./texts.js";
import type { MessageItem } from "./timeline.js";

const PREFIX = "direct:";

/** The name of the room of two users on the server. */
export function directRoom(user: string, peer: string): string {
  return PREFIX + [user, peer].sort(compareCodePoints).join(":");
}

/** The other user of a conversation, by the name of its room; null for other rooms. */
export function peerIn(roomName: string, user: string): string | null {
  if (!roomName.startsWith(PREFIX)) return null;
  const [one, other] = roomName.slice(PREFIX.length).split(":");
  return (one === user ? other : one) ?? null;
}

export class DirectConversation extends RoomConversation {
  override readonly kind = "direct";
  readonly isBlocked = signal(false);
  readonly #host: Host;
  readonly #client: Client;
  #entering: Promise<void> | undefined;

  constructor(host: Host, client: Client, peer: string, saved?: SavedRoom) {
    super(host, client, peer, saved, directRoom(host.userName.value, peer));
    this.#host = host;
    this.#client = client;
  }

  /** Make the room if there is none, and join it. Rejects with a `ChatError`. */
  enter(): Promise<void> {
    return (this.#entering ??= this.#enter().finally(() => (this.#entering = undefined)));
  }

  async #enter(): Promise<void> {
    await this.#client.conversation(this.name);
    await this.join();
  }

  override send(text: string, earlier?: MessageItem): void {
    if (this.isJoined || this.#client.state !== "online") return super.send(text, earlier);
    // It leaves with the join.
    const { sendKey = newIdempotencyKey(), sentAt = null } = earlier ?? {};
    const item = this.addOutgoing(this.#host.userName.value, text, { sendKey, sentAt, isInDoubt: true });
    this.enter().catch((error: unknown) => {
      this.change(item.key, { isInDoubt: false });
      this.fail(item, this.explain(error));
    });
  }

  protected override explain(error: unknown): string {
    const name = isolated(this.name);
    return explain(error, {
      noUser: `Nobody named ${name} has been here.`,
      notAllowed: `${name} does not take direct messages from you.`,
    });
  }

  async setBlocked(isBlocked: boolean): Promise<void> {
    const { directAddToList, directRemoveFromList } = this.#client.commands;
    await (isBlocked ? directAddToList : directRemoveFromList)("blacklist", [this.name]);
    this.isBlocked.value = isBlocked;
  }
}
