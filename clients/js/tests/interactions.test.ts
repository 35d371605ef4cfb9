import assert from "node:assert/strict";
import { test } from "node:test";

import { ChatError, type FoldedMessages, type OutboxStorage, type Room, type TextMessage } from "../src/index.js";
import { addRoom, cut, goOffline, login, unique, until } from "./support.js";

const text = (textMessage: string) => ({ textMessage });

async function joined(user: string, name: string, storage?: OutboxStorage) {
  const client = await login(user, storage && { outboxStorage: storage });
  const room = client.room(name);
  const view = room.folded();
  room.on("message", (message) => void view.take(message));
  await room.join();
  return { client, room, view };
}

const shown = (view: FoldedMessages<TextMessage>) => view.list().map(({ message }) => message.textMessage);
const upTo = (room: Room, id: number) => until(() => room.lastId >= id, `message ${id}`);

test("messages are edited, deleted and reacted to, and everybody sees the same", async () => {
  const name = await addRoom();
  const { room, view } = await joined(unique("ann"), name);
  const { client, room: other, view: others } = await joined(unique("bob"), name);
  for (const each of ["tea", "milk", "cake"]) await room.send(text(each));
  await upTo(room, 3);
  const [tea, milk, cake] = view.list();
  assert.equal(await milk!.edit(text("oat milk")), 4);
  assert.equal(await cake!.delete(), 5);
  assert.equal(await tea!.react("👍"), 6);
  assert.equal(await tea!.react("👍"), 6);
  await upTo(other, 6);
  const his = others.get(1)!;
  assert.equal(await his.react("👍"), 7);
  assert.equal(await his.react("__proto__"), 8);
  // The connection breaks: what was said waits for the next one.
  cut(client);
  assert.equal(await his.reply(text("with sugar")), 9);
  assert.equal(await his.unreact("__proto__"), 10);
  assert.equal(await his.unreact("__proto__"), 0);
  await assert.rejects(his.edit(text("coffee")), (error) => error instanceof ChatError && error.code === "notAllowed");
  await upTo(room, 10);
  await upTo(other, 10);
  const loaded = other.folded();
  for (let last = 0; last < 10; last += 5) {
    const page = await client.commands.roomHistoryGet(name, last, 5, { fold: true });
    for (const message of page.reverse()) loaded.take(message, true);
  }
  for (const each of [view, others, loaded]) {
    assert.deepEqual(shown(each), ["tea", "oat milk", undefined, "with sugar"]);
    const [first, second, third, reply] = each.list();
    assert.deepEqual([...first!.reactions], [["👍", 2]]);
    assert.deepEqual([...first!.ownReactions], ["👍"]);
    assert.deepEqual([second!.isEdited, third!.isDeleted, reply!.replyTo], [true, true, 1]);
  }
  // What a folded history has counted is not counted again.
  for (const message of (await client.commands.roomHistoryGet(name, 0, 100)).reverse()) {
    assert.equal(loaded.take(message), undefined);
  }
});

test("older messages come in their current form, also if that changes on the way", async () => {
  const name = await addRoom();
  const { room } = await joined(unique("ann"), name);
  for (const each of ["tea", "milk", "cake"]) await room.send(text(each));
  const client = await login(unique("bob"));
  const late = client.room(name);
  const view = late.folded();
  late.on("message", (message) => void view.take(message));
  await late.join({ recent: 1 });
  await room.edit(1, text("coffee"));
  await upTo(late, 4);
  const page = await late.older(10, true);
  // It is said before the page is used.
  await room.react(1, "👍");
  await room.edit(2, text("cream"));
  await upTo(late, 6);
  for (const message of page) view.take(message, true);
  assert.deepEqual(shown(view), ["coffee", "cream", "cake"]);
  assert.deepEqual([...view.get(1)!.reactions], [["👍", 1]]);
});

test("an edit that was not sent survives a reload", async () => {
  const items = new Map<string, string>();
  const storage: OutboxStorage = {
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => void items.set(key, value),
  };
  const name = await addRoom();
  const user = unique("ann");
  const { client, room } = await joined(user, name, storage);
  await room.send(text("tea"));
  goOffline(client);
  await until(() => room.state === "waiting", "offline");
  const sent = room.edit(1, text("milk"));
  client.close();
  await assert.rejects(sent);
  const { room: again, view } = await joined(user, name, storage);
  await upTo(again, 2);
  assert.deepEqual(shown(view), ["milk"]);
});

test("a view is bounded", async () => {
  const client = await login(unique("ann"));
  const view = client.room("any").folded(2);
  for (const id of [1, 2, 3]) view.take({ id, timestamp: 0, author: "bob", ...text(String(id)) });
  assert.deepEqual(shown(view), ["2", "3"]);
  const relatesTo = { type: "edit", id: 1 } as const;
  assert.equal(view.take({ id: 4, timestamp: 0, author: "bob", ...text("x"), relatesTo }), undefined);
});
