import assert from "node:assert/strict";
import { test } from "node:test";

import { ChatError, type RoomState } from "../src/index.js";
import { addRoom, cut, goOffline, login, post, record, server, unique, until } from "./support.js";

const code = (wanted: string) => (error: unknown) => error instanceof ChatError && error.code === wanted;
const text = (textMessage: string) => ({ textMessage });

test("a join begins with the newest messages, older ones are got page by page", async () => {
  const name = await addRoom();
  await post(name, "1", "2", "3", "4", "5", "6", "7");
  const room = (await login(unique("ann"))).room(name);
  const journal = record(room);
  await room.join({ recent: 2 });
  assert.deepEqual(journal.lines, ["6 6 (history)", "7 7 (history)"]);
  assert.equal(room.hasOlder, true);
  assert.deepEqual((await room.older(3)).map((message) => message.id), [3, 4, 5]);
  assert.deepEqual((await room.older(3)).map((message) => message.id), [1, 2]);
  assert.equal(room.hasOlder, false);
  assert.deepEqual(await room.older(3), []);
  assert.equal(await room.send(text("8")), 8);
  await until(() => journal.lines.length === 3, "the live message");
  assert.equal(journal.lines[2], "8 8");
});

test("messages rotated out before the first join are not a gap", async () => {
  const name = await addRoom({ history_max_size: 2 });
  await post(name, "1", "2", "3", "4");
  const room = (await login(unique("ann"))).room(name);
  const journal = record(room);
  await room.join({ recent: 3 });
  assert.deepEqual(journal.lines, ["3 3 (history)", "4 4 (history)"]);
  assert.equal(room.hasOlder, false);
});

test("an application that stored messages goes on after its last one, and is told of a gap", async () => {
  const name = await addRoom({ history_max_size: 2 });
  await post(name, "1", "2", "3", "4", "5");
  const room = (await login(unique("ann"))).room(name);
  const journal = record(room);
  await room.join({ after: 1 });
  assert.deepEqual(journal.lines, ["gap 2-3", "4 4 (history)", "5 5 (history)"]);
});

test("a stored cursor of another life of the room does not count", async () => {
  const name = await addRoom();
  await post(name, "1", "2");
  const [first, second] = [await login(unique("ann")), await login(unique("ann"))];
  await first.room(name).join();
  const cursor = { after: first.room(name).lastId, epoch: first.room(name).epoch! };
  await post(name, "3");
  const journal = record(second.room(name));
  await second.room(name).join(cursor);
  assert.deepEqual(journal.lines, ["3 3 (history)"]);
  await second.room(name).leave();
  await second.room(name).join({ ...cursor, epoch: "another" });
  assert.deepEqual(journal.lines.slice(1), ["restarted", "1 1 (history)", "2 2 (history)", "3 3 (history)"]);
});

test("after a lost connection every room is joined again and catches up in order, without repeats", async () => {
  const [one, other] = [await addRoom(), await addRoom()];
  const client = await login(unique("ann"));
  const rooms = [client.room(one), client.room(other)];
  const journals = rooms.map(record);
  await Promise.all(rooms.map((room) => room.join()));
  const numbers = Array.from({ length: 12 }, (_, index) => String(index + 1));
  await post(one, "0");
  await until(() => journals[0]!.lines.length === 1, "the first message");
  const back = goOffline(client);
  await until(() => rooms.every((room) => room.state === "waiting"), "offline");
  await post(one, ...numbers);
  await post(other, "x");
  back();
  // More come while it catches up.
  await post(one, "live", "last");
  await until(() => journals[0]!.lines.some((line) => line.includes("last")), "all messages");
  await until(() => journals[1]!.lines.length === 1, "the other room");
  assert.deepEqual(journals[0]!.messages.map((message) => message.textMessage), ["0", ...numbers, "live", "last"]);
  assert.deepEqual(journals[0]!.messages.map((message) => message.id), [...journals[0]!.messages.keys()].map((n) => n + 1));
  assert.deepEqual(journals[1]!.lines, ["1 x (history)"]);
  assert.ok(!journals.some((journal) => journal.lines.some((line) => line.includes("gap"))));
});

test("rooms catch up one after another, and a join does not wait for all of them", async () => {
  const names = await Promise.all(Array.from({ length: 5 }, () => addRoom()));
  const late = await addRoom();
  await post(late, "z");
  const client = await login(unique("ann"));
  const order: string[] = [];
  for (const name of [...names, late]) client.room(name).on("message", (message) => order.push(`${name} ${message.id}`));
  await Promise.all(names.map((name) => client.room(name).join()));
  const back = goOffline(client);
  await until(() => client.rooms.every((room) => room.state === "waiting" || room.name === late), "offline");
  // Each needs several answers.
  await Promise.all(names.map((name) => post(name, ..."abcdefghijkl")));
  const joined = new Promise<void>((resolve) => {
    client.once("login", () => queueMicrotask(() => resolve(client.room(late).join())));
  });
  back();
  await joined;
  await until(() => order.length === 5 * 12 + 1, "all messages");
  const rooms = order.map((entry) => entry.split(" ")[0]!);
  // A room that has begun is done before the next one begins.
  const changes = rooms.filter((room, index) => room !== rooms[index - 1]);
  assert.equal(changes.length, 6);
  assert.notEqual(changes.at(-1), late);
});

test("messages with binary values are caught up on and scrolled back to, however few come in one answer", async () => {
  const name = await addRoom();
  for (let number = 1; number <= 12; number++) await server("post_binary", name, 4, {});
  const room = (await login(unique("ann"))).room(name);
  const journal = record(room);
  await room.join({ recent: 7 });
  assert.deepEqual(journal.messages.map((message) => message.id), [6, 7, 8, 9, 10, 11, 12]);
  assert.deepEqual((await room.older(5)).map((message) => message.id), [1, 2, 3, 4, 5]);
  assert.equal(room.hasOlder, false);
});

test("an answer that holds only a part of the older messages leaves none out", async () => {
  const name = await addRoom();
  await post(name, "1", "2", "3", "4", "5", "6", "7");
  await server("cut_answers", name, 2, {});
  const room = (await login(unique("ann"))).room(name);
  const journal = record(room);
  await room.join({ recent: 2 });
  assert.deepEqual(journal.messages.map((message) => message.id), [6, 7]);
  assert.deepEqual((await room.older(4)).map((message) => message.id), [2, 3, 4, 5]);
  assert.deepEqual((await room.older(4)).map((message) => message.id), [1]);
});

test("a server that gives out no history", async () => {
  const name = await addRoom();
  await post(name, "1", "2");
  await server("cut_answers", name, 0, {});
  const room = (await login(unique("ann"))).room(name);
  const journal = record(room);
  await room.join({ recent: 2 });
  assert.deepEqual(await room.older(), []);
  assert.equal(await room.send(text("3")), 3);
  await until(() => journal.lines.length === 1, "the live message");
  assert.deepEqual(journal.lines, ["3 3"]);
});

test("messages that the history has lost meanwhile are told as a gap", async () => {
  const name = await addRoom({ history_max_size: 3 });
  const client = await login(unique("ann"));
  const room = client.room(name);
  const journal = record(room);
  await room.join();
  await post(name, "1");
  await until(() => journal.lines.length === 1, "the first message");
  const back = goOffline(client);
  await post(name, "2", "3", "4", "5", "6");
  back();
  await until(() => journal.lines.length === 5, "catch-up");
  assert.deepEqual(journal.lines.slice(1), ["gap 2-3", "4 4 (history)", "5 5 (history)", "6 6 (history)"]);
});

test("a room without history tells the gap and goes on", async () => {
  const name = await addRoom({ history_max_size: 0 });
  const client = await login(unique("ann"));
  const room = client.room(name);
  const journal = record(room);
  await room.join();
  const back = goOffline(client);
  await post(name, "1", "2");
  back();
  await until(() => journal.lines.length === 1, "the gap");
  await until(() => room.state === "joined", "joined again");
  await post(name, "3");
  await until(() => journal.lines.length === 2, "the live message");
  assert.deepEqual(journal.lines, ["gap 1-2", "3 3"]);
});

for (const messages of [["a"], ["a", "b", "c"]]) {
  test(`a room that was made anew with ${messages.length} messages starts over`, async () => {
    const name = await addRoom();
    const client = await login(unique("ann"));
    const room = client.room(name);
    const journal = record(room);
    await room.join();
    await post(name, "1", "2");
    await until(() => journal.lines.length === 2, "the first messages");
    const back = goOffline(client);
    await until(() => room.state === "waiting", "offline");
    await server("delete_room", name);
    await server("add_room", name);
    await post(name, ...messages);
    back();
    await until(() => journal.lines.length === 3 + messages.length, "catch-up");
    assert.deepEqual(journal.lines.slice(2), ["restarted", ...messages.map((m, i) => `${i + 1} ${m} (history)`)]);
  });
}

test("messages wait for the connection and keep their order", async () => {
  const client = await login(unique("ann"));
  const room = client.room(await addRoom());
  const journal = record(room);
  await assert.rejects(room.send(text("no")), code("notJoined"));
  await room.join();
  const back = goOffline(client);
  await until(() => room.state === "waiting", "offline");
  const ids = Promise.all(["a", "b", "c"].map((value) => room.send(text(value))));
  back();
  assert.deepEqual(await ids, [1, 2, 3]);
  await until(() => journal.lines.length === 3, "all messages");
  assert.deepEqual(journal.messages.map((message) => message.textMessage), ["a", "b", "c"]);
});

test("a message whose answer is lost is sent once", async () => {
  const client = await login(unique("ann"));
  const room = client.room(await addRoom());
  const journal = record(room);
  await room.join();
  // Stored, and the connection is cut before the answer; cut before it is stored.
  const ids = await Promise.all([room.send(text("cut after")), room.send(text("cut before")), room.send(text("end"))]);
  assert.deepEqual(ids, [1, 2, 3]);
  await until(() => journal.lines.length === 3, "all messages");
  assert.deepEqual(journal.messages.map((message) => message.textMessage), ["cut after", "cut before", "end"]);
});

test("a message whose answer is lost is sent once, even if the history no longer has it", async () => {
  const name = await addRoom({ history_max_size: 1 });
  const client = await login(unique("ann"));
  const room = client.room(name);
  const journal = record(room);
  await room.join();
  assert.equal(await room.send(text("cut after, then more")), 1);
  await until(() => journal.lines.at(-1) === "3 and more (history)", "the last message");
});

test("a message without an answer for too long is rejected", async () => {
  const client = await login(unique("ann"), { outboxMaxAge: 0 });
  const room = client.room(await addRoom());
  await room.join();
  await assert.rejects(room.send(text("cut after")), code("unconfirmed"));
  assert.equal(await room.send(text("next")), 2);
});

test("the messages that wait for their answers are limited", async () => {
  const client = await login(unique("ann"), { outboxSize: 1 });
  const room = client.room(await addRoom());
  await room.join();
  const [first, second] = await Promise.allSettled([room.send(text("1")), room.send(text("2"))]);
  assert.deepEqual(first, { status: "fulfilled", value: 1 });
  assert.equal(second.status === "rejected" && code("outboxFull")(second.reason), true);
});

test("refused messages do not stop those that follow", async () => {
  const client = await login(unique("ann"));
  const room = client.room(await addRoom());
  await room.join();
  const [bad, good] = await Promise.allSettled([room.send({} as { textMessage: string }), room.send(text("good"))]);
  assert.equal(bad.status, "rejected");
  assert.deepEqual(good, { status: "fulfilled", value: 1 });
});

test("who loses access is told why, and does not come back", async () => {
  const [kept, deleted] = [await addRoom({ owner: "admin" }), await addRoom()];
  const name = unique("ann");
  const client = await login(name);
  const rooms = [client.room(kept), client.room(deleted)];
  const journals = rooms.map(record);
  await Promise.all(rooms.map((room) => room.join()));
  assert.equal(await client.room(kept).send(text("hi")), 1);
  await server("exec_user_command", true, "roomAddToList", kept, "blacklist", [name], {});
  await server("delete_room", deleted);
  await until(() => rooms.every((room) => room.state === "out"), "out");
  assert.deepEqual(journals.map((journal) => journal.lines.at(-1)), ["removed notAllowed", "removed noRoom"]);
  await assert.rejects(rooms[0]!.join(), code("notAllowed"));
});

test("a server that misses messages tells which, and the next one follows", async () => {
  const user = unique("ann");
  const room = (await login(user)).room(await addRoom());
  const journal = record(room);
  await room.join();
  await post(room.name, "1");
  await until(() => journal.lines.length === 1, "the first message");
  const tell = (gap: object) => server("tell", user, "roomHistoryGap", room.name, gap, {});
  await tell({ epoch: "of another life", from: 2, to: 9 });
  await tell({ epoch: room.epoch, from: 1, to: 1 });
  await tell({ epoch: room.epoch, from: 1, to: 3 });
  await server("tell", user, "roomStateGap", room.name, {});
  await post(room.name, "2", "3", "4");
  await until(() => journal.lines.length === 4, "the next message");
  assert.deepEqual(journal.lines, ["1 1", "gap 2-3", "state gap", "4 4"]);
});

test("who lost access while away is told after the reconnect", async () => {
  const room = await addRoom({ owner: "admin" });
  const name = unique("ann");
  const client = await login(name);
  const journal = record(client.room(room));
  await client.room(room).join();
  const back = goOffline(client);
  const waiting = client.room(room).send(text("never"));
  await server("exec_user_command", true, "roomAddToList", room, "blacklist", [name], {});
  back();
  await assert.rejects(waiting, code("notJoined"));
  assert.deepEqual(journal.lines, ["removed notAllowed"]);
});

test("presence and lists come as events of the room; states are told", async () => {
  const name = await addRoom({ enable_userlist_updates: true, enable_access_lists_updates: true });
  const [ann, bob] = [await login(unique("ann")), await login(unique("bob"))];
  const room = ann.room(name);
  const states: RoomState[] = [];
  const told: string[] = [];
  room.on("state", (state) => states.push(state));
  await room.join();
  room.on("userJoined", (user) => told.push(`+${user.slice(0, 3)}`));
  room.on("userLeft", (user) => told.push(`-${user.slice(0, 3)}`));
  room.on("memberUpdated", (user, details) => told.push(`${user.slice(0, 3)} is ${JSON.stringify(details)}`));
  room.on("accessListAdded", (list, names) => told.push(`${list} + ${names}`));
  room.on("accessListRemoved", (list, names) => told.push(`${list} - ${names}`));
  room.on("modeChanged", (mode) => told.push(`mode ${mode}`));
  await bob.room(name).join();
  await bob.commands.roomSetDetails(name, { away: true });
  await bob.room(name).leave();
  const { members } = await ann.commands.roomGetStatus(name, { limit: 5 });
  assert.deepEqual(members.map((member) => [member.userName, member.sockets]), [[ann.login!.userName, 1]]);
  await server("exec_user_command", true, "roomAddToList", name, "whitelist", [ann.login!.userName], {});
  await server("exec_user_command", true, "roomSetWhitelistMode", name, true, {});
  await server("exec_user_command", true, "roomRemoveFromList", name, "adminlist", ["z"], {});
  await until(() => told.some((line) => line.startsWith("mode")), "all events");
  assert.deepEqual(told.slice(0, 4), ["+bob", 'bob is {"away":true}', "-bob", `whitelist + ${ann.login!.userName}`]);
  cut(ann);
  await until(() => states.length === 5, "joined again");
  await room.leave();
  assert.deepEqual(states, ["joining", "joined", "waiting", "joining", "joined", "out"]);
});

test("the server may join and leave for a socket", async () => {
  const name = await addRoom();
  const client = await login(unique("ann"));
  const { userName: user_name, id } = client.login!;
  const journal = record(client.room(name));
  await server("exec_user_command", { user_name, id }, "roomJoin", name, {});
  await until(() => client.room(name).state === "joined", "joined by the server");
  await post(name, "hello");
  await until(() => journal.lines.length === 1, "the message");
  await server("exec_user_command", { user_name, id }, "roomLeave", name, {});
  await until(() => client.room(name).state === "out", "left by the server");
});

test("closing rejects what waits", async () => {
  const client = await login(unique("ann"));
  const room = client.room(await addRoom());
  await room.join();
  goOffline(client);
  await until(() => room.state === "waiting", "offline");
  const waiting = room.send(text("never"));
  client.close();
  await assert.rejects(waiting, code("disconnected"));
  assert.equal(room.state, "out");
});

// The last test, because the server hides messages from then on.
test("hidden messages are neither shown nor a gap", async () => {
  const name = await addRoom();
  await post(name, "1", "hidden 2", "hidden 3", "hidden 4", "5");
  await server("hide", {});
  const client = await login(unique("ann"));
  const room = client.room(name);
  const journal = record(room);
  await room.join({ recent: 1 });
  assert.deepEqual((await room.older(1)).map((message) => message.id), [1]);
  assert.equal(room.hasOlder, false);
  await post(name, "hidden 6", "7");
  await until(() => journal.lines.length === 2, "the live message");
  cut(client);
  await post(name, "hidden 8", "9");
  await until(() => journal.lines.length === 3, "what was missed");
  assert.deepEqual(journal.lines.map((line) => line.split(" ")[0]), ["5", "7", "9"]);
  assert.equal(room.lastId, 9);
});
