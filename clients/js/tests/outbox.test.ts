import assert from "node:assert/strict";
import { test } from "node:test";

import { ChatError, type ChatClientOptions, type OutboxStorage, type Room } from "../src/index.js";
import { addRoom, goOffline, login, make, record, server, unique, until } from "./support.js";

const code = (wanted: string) => (error: unknown) => error instanceof ChatError && error.code === wanted;
const text = (textMessage: string) => ({ textMessage });
/** A connection that was lost comes back with `retryNow` only. */
const STAYS_AWAY = { reconnectDelay: 60_000, maxReconnectDelay: 60_000 };

/** What a browser keeps over reloads of a page. */
class Kept implements OutboxStorage {
  readonly items = new Map<string, string>();
  isFull = false;

  getItem(key: string): string | null {
    return this.items.get(key) ?? null;
  }

  setItem(key: string, value: string): void {
    if (this.isFull) throw new Error("The quota has been exceeded.");
    this.items.set(key, value);
  }

  removeItem(key: string): void {
    this.items.delete(key);
  }
}

async function joined(user: string, name: string, options: ChatClientOptions = {}) {
  const client = await login(user, options);
  const room = client.room(name);
  await room.join();
  return { client, room };
}

async function stored(name: string): Promise<string[]> {
  const [messages] = (await server("exec_user_command", true, "roomHistoryGet", name, 0, 100, {})) as [
    { textMessage: string }[],
  ];
  return messages.reverse().map((message) => message.textMessage);
}

const access = (name: string, user: string) =>
  server("exec_user_command", true, "roomAddToList", name, "blacklist", [user], {});

/** Lose the connection for good with messages that wait for it. */
async function leaveUnsent(user: string, name: string, outboxStorage: OutboxStorage, ...texts: string[]): Promise<void> {
  const { client, room } = await joined(user, name, { outboxStorage });
  goOffline(client);
  await until(() => room.state === "waiting", "offline");
  const sent = Promise.allSettled(texts.map((value) => room.send(text(value), `key of ${value}`)));
  client.close();
  for (const outcome of await sent) assert.ok(outcome.status === "rejected" && code("disconnected")(outcome.reason));
}

// Failures and refusals

for (const how of ["fail before", "fail after"]) {
  test(`an internal error is no answer: ${how}`, async () => {
    const name = await addRoom();
    const { room } = await joined(unique("ann"), name);
    assert.deepEqual(await Promise.all([room.send(text(how)), room.send(text("next"))]), [1, 2]);
    assert.deepEqual(await stored(name), [how, "next"]);
  });
}

test("a message that fails for too long is rejected, and the next one goes on", async () => {
  const { room } = await joined(unique("ann"), await addRoom(), { outboxMaxAge: 100 });
  const failing = room.send(text("fail always"));
  const next = room.send(text("next"));
  await assert.rejects(failing, (error) => code("unconfirmed")(error) && /stored: .*internal/i.test(String(error)));
  assert.equal(await next, 1);
});

test("a message that cannot be encoded is refused at once", async () => {
  const { room } = await joined(unique("ann"), await addRoom());
  const circular: { textMessage: string; self?: unknown } = text("round");
  circular.self = circular;
  await assert.rejects(room.send(circular), code("badArgument"));
  assert.equal(await room.send(text("next")), 1);
});

test("access that is lost after a message was stored, and before its answer: the key tells", async () => {
  const [user, name] = [unique("ann"), await addRoom({ owner: "admin" })];
  const { client, room } = await joined(user, name, STAYS_AWAY);
  const [first, second] = [room.send(text("cut after")), room.send(text("never sent"))];
  second.catch(() => {});
  await until(() => room.state === "waiting", "offline");
  await access(name, user);
  client.retryNow();
  assert.equal(await first, 1);
  await assert.rejects(second, code("notJoined"));
  assert.deepEqual(await stored(name), ["cut after"]);
});

test("access that is lost before the answer does not claim that the message is not stored", async () => {
  const [user, name] = [unique("ann"), await addRoom({ owner: "admin" })];
  const { client, room } = await joined(user, name, STAYS_AWAY);
  const [first, second] = [room.send(text("cut before")), room.send(text("never sent"))];
  second.catch(() => {});
  await until(() => room.state === "waiting", "offline");
  await access(name, user);
  client.retryNow();
  await assert.rejects(first, code("unconfirmed"));
  await assert.rejects(second, code("notJoined"));
});

test("a room that is gone took the key along", async () => {
  const name = await addRoom();
  const { client, room } = await joined(unique("ann"), name, STAYS_AWAY);
  const sent = room.send(text("cut after"));
  await until(() => room.state === "waiting", "offline");
  await server("delete_room", name);
  client.retryNow();
  await assert.rejects(sent, code("unconfirmed"));
});

test("a connection that ends before the answer", async () => {
  const { client, room } = await joined(unique("ann"), await addRoom(), STAYS_AWAY);
  const [first, second] = [room.send(text("cut after")), room.send(text("never sent"))];
  second.catch(() => {});
  await until(() => room.state === "waiting", "offline");
  client.close();
  await assert.rejects(first, code("unconfirmed"));
  await assert.rejects(second, code("disconnected"));
});

test("leaving waits for the answer that is on its way", async () => {
  const { room } = await joined(unique("ann"), await addRoom());
  const [first, second] = [room.send(text("sent")), room.send(text("never sent"))];
  second.catch(() => {});
  await room.leave();
  assert.equal(await first, 1);
  await assert.rejects(second, code("notJoined"));
});

// Messages that the application writes down

test("the event says when a message goes out for the first time", async () => {
  const { client, room } = await joined(unique("ann"), await addRoom());
  const out: string[] = [];
  room.on("sending", (key) => out.push(key));
  const back = goOffline(client);
  await until(() => room.state === "waiting", "offline");
  const sent = [room.send(text("cut after"), "a"), room.send(text("b"), "b")];
  assert.deepEqual(out, []);
  assert.deepEqual(room.unsent.map(({ key, wasTried }) => [key, wasTried]), [["a", false], ["b", false]]);
  back();
  assert.deepEqual(await Promise.all(sent), [1, 2]);
  // Once, although the first one was sent twice.
  assert.deepEqual(out, ["a", "b"]);
  assert.deepEqual(room.unsent, []);
});

test("a message is sent again under its key, unless its first try was too long ago", async () => {
  const name = await addRoom();
  const { room } = await joined(unique("ann"), name, { outboxMaxAge: 60_000 });
  assert.equal(await room.send(text("one"), "k"), 1);
  assert.equal(await room.send(text("one"), "k", Date.now() - 30_000), 1);
  await assert.rejects(room.send(text("one"), "k", Date.now() - 61_000), code("unconfirmed"));
  assert.deepEqual(await stored(name), ["one"]);
});

test("a key stands for one message", async () => {
  const { client, room } = await joined(unique("ann"), await addRoom());
  const back = goOffline(client);
  await until(() => room.state === "waiting", "offline");
  const sent = room.send(text("one"), "k");
  assert.equal(room.send(text("one"), "k"), sent);
  await assert.rejects(room.send(text("two"), "k"), code("idempotencyConflict"));
  back();
  assert.equal(await sent, 1);
});

// The storage

test("unsent messages survive a reload, and are sent before new ones", async () => {
  const [user, name, kept] = [unique("ann"), await addRoom(), new Kept()];
  await leaveUnsent(user, name, kept, "a", "b");
  assert.equal(kept.items.size, 1);
  const room = (await login(user, { outboxStorage: kept })).room(name);
  assert.deepEqual(room.unsent.map(({ message, wasTried }) => [message.textMessage, wasTried]), [["a", false], ["b", false]]);
  const results = room.unsent.map(({ result }) => result);
  const joining = room.join();
  const next = room.send(text("c"));
  assert.deepEqual(await Promise.all([...results, next]), [1, 2, 3]);
  await joining;
  assert.deepEqual(await stored(name), ["a", "b", "c"]);
  assert.equal(kept.items.size, 0);
});

test("a message whose answer was lost is stored once over a reload", async () => {
  const [user, name, kept] = [unique("ann"), await addRoom(), new Kept()];
  const { client, room } = await joined(user, name, { outboxStorage: kept, ...STAYS_AWAY });
  const lost = room.send(text("cut after"));
  await until(() => room.state === "waiting", "offline");
  client.close();
  // Its outcome is left to the next page.
  await assert.rejects(lost, code("disconnected"));
  const again = (await login(user, { outboxStorage: kept })).room(name);
  const journal = record(again);
  const [unsent] = again.unsent;
  assert.equal(unsent!.wasTried, true);
  await again.join();
  assert.equal(await unsent!.result, 1);
  assert.equal(await again.send(text("next")), 2);
  await until(() => journal.lines.length === 2, "the messages");
  assert.deepEqual(await stored(name), ["cut after", "next"]);
  assert.equal(kept.items.size, 0);
});

test("the age of a message counts from its first try, reloads included", async () => {
  const [user, name, kept] = [unique("ann"), await addRoom(), new Kept()];
  const { client, room } = await joined(user, name, { outboxStorage: kept, ...STAYS_AWAY });
  void room.send(text("cut after")).catch(() => {});
  await until(() => room.state === "waiting", "offline");
  client.close();
  const again = (await login(user, { outboxStorage: kept, outboxMaxAge: 0 })).room(name);
  const [unsent] = again.unsent;
  await until(() => Date.now() > (JSON.parse([...kept.items.values()][0]!) as { sentAt: number }[])[0]!.sentAt, "later");
  await again.join();
  await assert.rejects(unsent!.result, code("unconfirmed"));
  assert.equal(kept.items.size, 0);
});

test("each user and each room has its own list, and leaving gives it up", async () => {
  const [user, name, kept] = [unique("ann"), await addRoom(), new Kept()];
  await leaveUnsent(user, name, kept, "a");
  const other = await joined(unique("bob"), name, { outboxStorage: kept });
  assert.deepEqual(other.room.unsent, []);
  const elsewhere = await joined(user, await addRoom(), { outboxStorage: kept });
  assert.deepEqual(elsewhere.room.unsent, []);
  assert.deepEqual(await stored(name), []);
  const client = await login(user, { outboxStorage: kept });
  const room = client.room(name);
  const [unsent] = room.unsent;
  await room.leave();
  await assert.rejects(unsent!.result, code("notJoined"));
  assert.equal(kept.items.size, 0);
});

test("several pages may share a storage", async () => {
  const [user, name, kept] = [unique("ann"), await addRoom(), new Kept()];
  const one = await joined(user, name, { outboxStorage: kept });
  const back = goOffline(one.client);
  await until(() => one.room.state === "waiting", "offline");
  const sent = one.room.send(text("a"));
  const other = await joined(user, name, { outboxStorage: kept });
  assert.equal(await other.room.send(text("b")), 2);
  back();
  assert.equal(await sent, 1);
  assert.deepEqual(await stored(name), ["a", "b"]);
  assert.equal(kept.items.size, 0);
});

test("binary values are written down", async () => {
  const [user, name, kept] = [unique("ann"), await addRoom(), new Kept()];
  const parts = [new Uint8Array([0, 255]), { deep: new Uint8Array([7]).buffer }, "\u0000b", "\u0000\u0000", null, 1.5];
  const { client, room } = await joined(user, name, { outboxStorage: kept });
  goOffline(client);
  await until(() => room.state === "waiting", "offline");
  void (room as unknown as Room<{ parts: unknown[] }>).send({ parts }).catch(() => {});
  client.close();
  const again = (await login(user, { outboxStorage: kept })).room(name) as unknown as Room<{ parts: unknown[] }>;
  const arrived = new Promise<unknown[]>((resolve) => again.on("message", (message) => resolve(message.parts)));
  await again.join();
  const [bytes, { deep }, ...others] = (await arrived) as [Uint8Array, { deep: Uint8Array }, ...unknown[]];
  assert.deepEqual([...new Uint8Array(bytes)], [0, 255]);
  assert.deepEqual([...new Uint8Array(deep)], [7]);
  assert.deepEqual(others, parts.slice(2));
});

test("a storage that fails", async () => {
  const [user, name, kept] = [unique("ann"), await addRoom(), new Kept()];
  const { room } = await joined(user, name, { outboxStorage: kept });
  kept.isFull = true;
  await assert.rejects(room.send(text("too much")), code("outboxUnusable"));
  await assert.rejects(room.send(new Blob(["x"]) as never), code("outboxUnusable"));
  kept.isFull = false;
  assert.equal(await room.send(text("fits")), 1);
  assert.deepEqual(await stored(name), ["fits"]);
  const garbage: OutboxStorage = { getItem: () => "garbage", setItem: () => assert.fail("must not be overwritten") };
  const other = await login(user, { outboxStorage: garbage });
  await assert.rejects(other.room(name).join(), code("outboxUnusable"));
  assert.equal(other.room(name).state, "out");
});

test("before the login nothing is read", async () => {
  const client = make(unique("ann"), { outboxStorage: { getItem: () => assert.fail("read"), setItem: () => {} } });
  assert.deepEqual(client.room("tea").unsent, []);
});
