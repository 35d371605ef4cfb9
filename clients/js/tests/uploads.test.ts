import assert from "node:assert/strict";
import { test } from "node:test";

import { absolute, attachmentMessage, captionOf, ChatError, type FileMessage, type Stored } from "../src/index.js";
import { addRoom, login, make, server, unique, until } from "./support.js";

const code = (wanted: string) => (error: unknown) => error instanceof ChatError && error.code === wanted;
const url = process.env["CHAT_URL"]!;

test("a file is uploaded, sent and read", async () => {
  const name = await addRoom();
  const [ann, bob] = [(await login(unique("ann"))).room(name), (await login(unique("bob"))).room(name)];
  const seen: Stored<FileMessage>[] = [];
  bob.on("message", (message) => void seen.push(message as unknown as Stored<FileMessage>));
  await Promise.all([ann.join(), bob.join()]);
  const progress: [number, number][] = [];
  const file = await ann.upload(new Blob(["good tea"], { type: "text/plain" }), {
    name: "a note.txt",
    onProgress: (sent, total) => progress.push([sent, total]),
  });
  assert.deepEqual([file.name, file.type, file.bytes], ["a note.txt", "text/plain", 8]);
  assert.deepEqual(progress, [[8, 8]]);
  await ann.sendFiles([file], "read this");
  await until(() => seen.length === 1, "the message");
  const [message] = seen;
  assert.equal(message!.textMessage, `read this\na note.txt: ${url}${file.url}`);
  assert.equal(captionOf(message!), "read this");
  const [attachment] = message!.attachments;
  assert.deepEqual(attachment, { url: file.url, name: "a note.txt", type: "text/plain", bytes: 8 });
  assert.equal(await (await fetch(absolute(attachment!.url, url))).text(), "good tea");
});

test("a refusal has its code, its arguments and a text", async () => {
  const client = await login(unique("ann"));
  const room = client.room(await addRoom());
  await assert.rejects(room.upload(new Blob(["x"])), code("notJoined"));
  await room.join();
  await assert.rejects(room.upload(new Blob([new Uint8Array(3_000_001)])), code("uploadTooLarge"));
  await assert.rejects(room.upload(new Blob(["<svg/>"], { type: "image/png" })), (error: unknown) => {
    assert(error instanceof ChatError);
    assert.equal(error.code, "uploadTypeNotAllowed");
    assert.equal(error.args[0], "image/svg+xml");
    assert.match(error.message, /Files of type image\/svg\+xml are not allowed/);
    return true;
  });
});

test("an upload can be cancelled", async () => {
  const client = await login(unique("ann"));
  const room = client.room(await addRoom());
  await room.join();
  const stop = new AbortController();
  const uploading = room.upload(new Blob([new Uint8Array(2_000_000)]), { signal: stop.signal });
  stop.abort();
  await assert.rejects(uploading, code("uploadCancelled"));
  await assert.rejects(room.upload(new Blob(["x"]), { signal: stop.signal }), code("uploadCancelled"));
});

test("a client knows what may be uploaded, and whether it is connected", async () => {
  const limits = await (await login(unique("ann"))).uploadLimits();
  assert.equal(limits?.maxBytes, 3_000_000);
  assert(limits?.types.includes("image/png"));
  await assert.rejects(make(unique("bob")).upload("room", new Blob(["x"])), code("disconnected"));
  assert.equal(typeof (await server("has_room", "none")), "boolean");
});

test("the addresses at the end of a text are those of the attachments, and no others", () => {
  const file = { url: "/uploads/1/a", name: "a", type: "text/plain", bytes: 1 };
  const message = attachmentMessage("", [file, { ...file, url: "/uploads/2/a" }], "https://chat.example.org");
  assert.equal(
    message.textMessage,
    "a: https://chat.example.org/uploads/1/a\na: https://chat.example.org/uploads/2/a",
  );
  assert.equal(captionOf(message), "");
  assert.equal(captionOf({ textMessage: "a: b", attachments: [file] }), "a: b");
  assert.equal(captionOf({ textMessage: "x\ny" }), "x\ny");
  assert.equal(captionOf(attachmentMessage("x\ny", [file])), "x\ny");
});
