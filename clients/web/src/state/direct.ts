/** Direct messages with one person. The server does not store them. */

import type { Sent, TextMessage } from "@chat-service/client";
import { signal } from "@preact/signals";

import { Conversation } from "./conversation.js";
import type { Client, Host } from "./host.js";
import type { SavedDirect } from "./storage.js";
import { explain, isolated } from "./texts.js";
import { newKey, type MessageItem } from "./timeline.js";

const KEPT = 200;

export class DirectConversation extends Conversation {
  readonly kind = "direct";
  readonly isBlocked = signal(false);
  readonly #host: Host;
  readonly #client: Client;

  constructor(host: Host, client: Client, peer: string, saved: SavedDirect["messages"] = []) {
    super(peer);
    this.#host = host;
    this.#client = client;
    this.items.value = saved.map((message) => ({ kind: "message", key: newKey("d"), id: 0, ...message }));
  }

  /** A message arrived from the other person, or from another device of this user. */
  receive(message: Sent<TextMessage>, author: string): void {
    const { textMessage: text, timestamp } = message;
    this.append({ kind: "message", key: newKey("d"), id: 0, author, text, timestamp });
    this.#host.saveDirects();
    if (author === this.name) this.#host.onUnread(this, author, text, true);
  }

  send(text: string): void {
    const item = this.addOutgoing(this.#host.userName.value, text);
    this.#client.commands.directMessage(this.name, { textMessage: text }).then(
      (message) => {
        this.discard(item.key);
        this.receive(message, item.author);
      },
      (error: unknown) => {
        const name = isolated(this.name);
        const away = `${name} is not here right now, and direct messages are not kept. Try again later.`;
        const refused = `${name} does not take direct messages from you.`;
        this.fail(item, explain(error, { noUser: away, noUserOnline: away, notAllowed: refused }));
      },
    );
  }

  async setBlocked(isBlocked: boolean): Promise<void> {
    const { directAddToList, directRemoveFromList } = this.#client.commands;
    await (isBlocked ? directAddToList : directRemoveFromList)("blacklist", [this.name]);
    this.isBlocked.value = isBlocked;
  }

  async loadOlder(): Promise<void> {
    // There is no history to load them from.
  }

  markRead(): void {
    this.unread.value = 0;
  }

  saved(): SavedDirect {
    const messages = this.items.value.filter((item): item is MessageItem => item.kind === "message");
    return {
      peer: this.name,
      messages: messages.slice(-KEPT).map(({ author, text, timestamp }) => ({ author, text, timestamp })),
    };
  }
}
