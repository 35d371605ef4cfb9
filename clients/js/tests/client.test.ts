import assert from "node:assert/strict";
import { test } from "node:test";

import { ChatClient, ChatError, type ConnectionState, type TextMessage } from "../src/index.js";
import { addRoom, cut, goOffline, login, make, server, unique, until } from "./support.js";

const code = (wanted: string) => (error: unknown) => error instanceof ChatError && error.code === wanted;

test("login resolves with who one is", async () => {
  const name = unique("ann");
  const client = make(name);
  const states: ConnectionState[] = [];
  client.on("state", (state) => states.push(state));
  assert.equal(client.state, "idle");
  const confirmed = await client.connect();
  assert.equal(confirmed.userName, name);
  assert.equal(confirmed.id, client.socket!.id);
  assert.equal(client.login, confirmed);
  await assert.rejects(client.connect(), code("connectFailed"));
  client.close();
  assert.deepEqual(states, ["connecting", "online", "closed"]);
  await assert.rejects(client.call("listOwnSockets"), code("disconnected"));
  // A closed client may begin anew.
  await client.connect();
  assert.equal(client.state, "online");
});

test("a rejected login rejects with the server's error", async () => {
  const client = make("a:b");
  await assert.rejects(client.connect(), code("invalidName"));
  assert.equal(client.state, "closed");
});

test("no server, and a server that never answers", async () => {
  await assert.rejects(new ChatClient("http://127.0.0.1:1").connect(), code("connectFailed"));
  const mute = make(unique("ann"), { namespace: "/mute", connectTimeout: 50 });
  await assert.rejects(mute.connect(), code("noAnswer"));
});

test("the auth object is made for each connection", async () => {
  let calls = 0;
  const name = unique("ann");
  const client = make("", { query: {}, auth: () => ({ userName: name, call: ++calls }) });
  assert.equal((await client.connect()).userName, name);
  const again = new Promise((resolve) => client.on("login", (_, isReconnect) => resolve(isReconnect)));
  cut(client);
  assert.equal(await again, true);
  assert.equal(calls, 2);
  const broken = make("", { auth: () => Promise.reject(new Error("no token")) });
  await assert.rejects(broken.connect(), /no token/);
});

test("commands resolve with results and reject with typed errors", async () => {
  const name = unique("ann");
  const client = await login(name);
  const room = unique("room");
  assert.equal(await client.commands.roomCreate(room, true), null);
  assert.equal(await client.call("roomJoin", room), 1);
  assert.equal(await client.commands.roomGetOwner(room), name);
  const info = await client.call("roomHistoryInfo", room);
  assert.equal(info.lastMessageId, 0);
  await assert.rejects(client.commands.roomCreate(room, false), (error: ChatError) => {
    assert.deepEqual([error.code, error.args], ["roomExists", [room]]);
    return true;
  });
  // @ts-expect-error: a wrong type; the server says so, too
  await assert.rejects(client.call("roomJoin", 5), code("badArgument"));
});

interface OwnCommands {
  repeatWord(word: string, times: number): string;
}

test("commands that the application has added are typed", async () => {
  const client = make(unique("user")) as unknown as ChatClient<TextMessage, object, OwnCommands>;
  await client.connect();
  const word: string = await client.command("repeatWord", "tea", 2);
  assert.equal(word, "teatea");
  // @ts-expect-error: a wrong type; the server says so, too
  await assert.rejects(client.command("repeatWord", "tea", "2"), code("badArgument"));
  // @ts-expect-error: a command that does not exist
  await assert.rejects(client.command("repeatWords"), code("noCommand"));
});

test("notifications and events of the application are typed events", async () => {
  interface Custom {
    news(text: string, count: number): void;
  }
  const [ann, bob] = [unique("ann"), unique("bob")];
  const sender = await login(ann);
  const receiver = make(bob) as unknown as ChatClient<{ textMessage: string }, Custom>;
  await receiver.connect();
  const message = new Promise<string>((resolve) => {
    receiver.once("directMessage", (direct) => resolve(`${direct.author}: ${direct.textMessage}`));
  });
  const news = new Promise<[string, number]>((resolve) => receiver.on("news", (...args) => resolve(args)));
  await sender.commands.directMessage(bob, { textMessage: "hello" });
  assert.equal(await message, `${ann}: hello`);
  await server("tell", bob, "news", "fresh", 3, {});
  assert.deepEqual(await news, ["fresh", 3]);
  const stop = receiver.on("news", () => assert.fail("stopped"));
  stop();
  assert.deepEqual(await receiver.request("echo", 1, "two"), [1, "two"]);
});

test("a command that gets no answer, and one whose connection is lost", async () => {
  const impatient = await login(unique("ann"), { timeout: 50 });
  await assert.rejects(impatient.request("never"), code("noAnswer"));
  const client = await login(unique("ann"));
  const lost = client.request("never");
  cut(client);
  await assert.rejects(lost, code("disconnected"));
  await until(() => client.state === "online", "online again");
});

test("a listener that fails stops nobody", async () => {
  const client = make(unique("ann"));
  const reported: unknown[] = [];
  globalThis.reportError = (error) => reported.push(error);
  client.on("login", () => {
    throw new Error("mine");
  });
  let heard = false;
  client.on("login", () => (heard = true));
  await client.connect();
  assert.equal(heard, true);
  assert.deepEqual(reported, [new Error("mine")]);
});

test("the state follows the connection", async () => {
  const client = await login(unique("ann"));
  const states: string[] = [];
  client.on("state", (state, reason) => states.push(reason ? `${state} ${reason.code}` : state));
  const back = goOffline(client);
  await until(() => client.state === "reconnecting", "reconnecting");
  back();
  await until(() => client.state === "online", "online again");
  await server("disconnect_user_sockets", client.login!.userName);
  await until(() => client.state === "closed", "closed by the server");
  assert.deepEqual(states, ["reconnecting disconnected", "online", "closed disconnected"]);
});

test("the client survives a restart of the server", async () => {
  const client = await login(unique("ann"));
  const room = client.room(await addRoom());
  await room.join();
  const first = client.login!.id;
  await server("restart");
  await until(() => client.state === "online" && client.login!.id !== first, "online again");
  await until(() => room.state === "joined", "joined again");
  assert.equal(await room.send({ textMessage: "still here" }), 1);
});
