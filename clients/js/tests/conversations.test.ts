import assert from "node:assert/strict";
import { test } from "node:test";

import { ChatError, type OwnRoom } from "../src/index.js";
import { addRoom, login, unique } from "./support.js";

async function listed(user: string): Promise<OwnRoom[]> {
  const client = await login(user);
  const found: OwnRoom[] = [];
  for await (const room of client.ownRooms()) found.push(room);
  client.close();
  return found;
}

test("a conversation with somebody who is away is there on a new device of both", async () => {
  const [ann, bob] = [unique("ann"), unique("bob")];
  (await login(bob)).close();
  const client = await login(ann);
  await assert.rejects(
    client.conversation(unique("nobody")),
    (error) => error instanceof ChatError && error.code === "noUser",
  );
  const room = await client.conversation(bob);
  assert.equal(await client.conversation(bob), room);
  await room.join();
  assert.equal(await room.send({ textMessage: "for later" }), 1);
  const place = client.room(await addRoom());
  await place.join();
  client.close();
  const mine = await listed(ann);
  assert.deepEqual(mine.map(({ roomName, kind, userName }) => [roomName, kind, userName]), [
    [room.name, "direct", bob],
    [place.name, "room", null],
  ]);
  const [his] = await listed(bob);
  assert.deepEqual([his!.userName, his!.unread, his!.lastMessageId, typeof his!.lastMessageAt], [ann, 1, 1, "number"]);
});
