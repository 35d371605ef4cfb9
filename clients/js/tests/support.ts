/** The server under test, steered from here, and waiting for what it does. */

import { after } from "node:test";

import { ChatClient, type ChatClientOptions, type Room, type Stored, type TextMessage } from "../src/index.js";

const url = process.env["CHAT_URL"];
const control = process.env["CHAT_CONTROL_URL"];
if (!url || !control) throw new Error("run these tests with pytest tests/js_client");

const clients: ChatClient[] = [];
let names = 0;

after(() => clients.forEach((client) => client.close()));

/** A name that no other test uses. */
export const unique = (prefix: string): string => `${prefix}${++names}-${process.pid}`;

/** A client that is not connected yet. */
export function make(userName: string, options: ChatClientOptions = {}): ChatClient {
  const client = new ChatClient(url, { query: { userName }, reconnectDelay: 20, maxReconnectDelay: 50, ...options });
  clients.push(client);
  return client;
}

export async function login(userName: string, options: ChatClientOptions = {}): Promise<ChatClient> {
  const client = make(userName, options);
  await client.connect();
  return client;
}

/** Call the server API: `server("add_room", "tea", {owner: "ann"})`. The last argument holds keywords. */
export async function server(method: string, ...args: unknown[]): Promise<unknown> {
  const last = args.at(-1);
  const keywords = typeof last === "object" && last !== null && !Array.isArray(last) ? args.pop() : {};
  const response = await fetch(control!, { method: "POST", body: JSON.stringify({ method, args, keywords }) });
  if (!response.ok) throw new Error(await response.text());
  return response.json();
}

export const addRoom = async (options: Record<string, unknown> = {}): Promise<string> => {
  const name = unique("room");
  await server("add_room", name, options);
  return name;
};

/** Post as the server. */
export async function post(room: string, ...texts: string[]): Promise<void> {
  for (const textMessage of texts) {
    await server("post", room, textMessage, {});
  }
}

/** Lose the connection, as a network does; it comes back by itself. */
export function cut(client: ChatClient): void {
  client.socket!.io.engine.close();
}

/** Lose the connection and keep it from coming back until the returned function is called. */
export function goOffline(client: ChatClient): () => void {
  const manager = client.socket!.io;
  manager.reconnectionDelay(60_000);
  manager.reconnectionDelayMax(60_000);
  cut(client);
  return () => {
    manager.reconnectionDelay(20);
    manager.reconnectionDelayMax(50);
    client.retryNow();
  };
}

export interface Journal {
  /** Texts of messages, and everything else in words, in the order in which it came. */
  lines: string[];
  messages: Stored<TextMessage>[];
}

/** Write down what happens in a room. */
export function record(room: Room): Journal {
  const journal: Journal = { lines: [], messages: [] };
  room.on("message", (message, isLive) => {
    journal.messages.push(message);
    journal.lines.push(`${message.id} ${message.textMessage}${isLive ? "" : " (history)"}`);
  });
  room.on("gap", ({ from, to }) => journal.lines.push(`gap ${from}-${to}`));
  room.on("stateGap", () => journal.lines.push("state gap"));
  room.on("restarted", () => journal.lines.push("restarted"));
  room.on("removed", (error) => journal.lines.push(`removed ${error.code}`));
  return journal;
}

/** Wait until something holds. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  const end = Date.now() + 30_000;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
