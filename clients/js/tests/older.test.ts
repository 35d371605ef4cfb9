/** Rooms where the server knows neither idempotency keys nor cursors, as earlier versions of it. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { ChatError } from "../src/index.js";
import { addRoom, goOffline, login, post, record, server, unique, until } from "./support.js";

const unconfirmed = (error: unknown) => error instanceof ChatError && error.code === "unconfirmed";
const text = (textMessage: string) => ({ textMessage });

async function oldRoom(options: Record<string, unknown> = {}): Promise<string> {
  const name = await addRoom(options);
  await server("know_no_options", name, {});
  return name;
}

test("a join reads the history itself, at first and after a lost connection", async () => {
  const name = await oldRoom();
  await post(name, "1", "2", "3");
  const client = await login(unique("ann"));
  const room = client.room(name);
  const journal = record(room);
  await room.join({ recent: 2 });
  await post(name, "4");
  await until(() => journal.lines.length === 3, "the live message");
  const back = goOffline(client);
  await until(() => room.state === "waiting", "offline");
  // More than one answer holds.
  const missed = Array.from({ length: 7 }, (_, index) => String(index + 5));
  await post(name, ...missed);
  back();
  await until(() => journal.lines.length === 10, "catch-up");
  assert.deepEqual(
    journal.lines,
    ["2 2 (history)", "3 3 (history)", "4 4", ...missed.map((number) => `${number} ${number} (history)`)],
  );
  assert.equal(await room.send(text("12")), 12);
});

test("what is missing is told, and a room that was made anew", async () => {
  const name = await oldRoom({ history_max_size: 1 });
  const client = await login(unique("ann"));
  const room = client.room(name);
  const journal = record(room);
  await room.join();
  let back = goOffline(client);
  await post(name, "1", "2", "3");
  back();
  await until(() => journal.lines.length === 2, "catch-up");
  back = goOffline(client);
  await until(() => room.state === "waiting", "offline");
  await server("delete_room", name);
  await server("add_room", name);
  await post(name, "a");
  back();
  await until(() => journal.lines.length === 4, "the new room");
  assert.deepEqual(journal.lines, ["gap 1-2", "3 3 (history)", "restarted", "1 a (history)"]);
});

for (const [how, stored] of [["cut after", 1], ["cut before", 0], ["fail after", 1], ["fail before", 0]] as const) {
  test(`a message without an answer is not sent again: ${how}`, async () => {
    const room = (await login(unique("ann"))).room(await oldRoom());
    const journal = record(room);
    await room.join();
    const [first, second] = await Promise.allSettled([room.send(text(how)), room.send(text("next"))]);
    assert.ok(first.status === "rejected" && unconfirmed(first.reason));
    assert.deepEqual(second, { status: "fulfilled", value: stored + 1 });
    await until(() => journal.lines.length === stored + 1, "all messages");
    assert.deepEqual(journal.messages.map((message) => message.textMessage), [how, "next"].slice(1 - stored));
  });
}
