import assert from "node:assert/strict";
import { test } from "node:test";

import { Decoder, Encoder, PacketType } from "socket.io-parser";

import { parserFor } from "../src/parser.js";
import { Slots } from "../src/slots.js";

/** Work that ends when it is told to. */
function pieces(slots: Slots) {
  const begun: string[] = [];
  const ends = new Map<string, () => void>();
  return {
    begun,
    start: (name: string, isUrgent = false) =>
      slots.run(() => {
        begun.push(name);
        return new Promise<void>((resolve, reject) => {
          ends.set(name, name.startsWith("bad") ? () => reject(new Error(name)) : resolve);
        });
      }, isUrgent),
    end: (name: string) => ends.get(name)!(),
  };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test("work is limited by the slots; urgent work does not queue", async () => {
  const { begun, start, end } = pieces(new Slots(2));
  const all = [start("a"), start("bad"), start("b"), start("c"), start("urgent", true)];
  const failed = assert.rejects(all[1]!, /bad/);
  await turn();
  assert.deepEqual(begun, ["a", "bad"]);
  end("bad");
  await failed;
  await turn();
  assert.deepEqual(begun, ["a", "bad", "urgent"]);
  end("a");
  end("urgent");
  await turn();
  assert.deepEqual(begun, ["a", "bad", "urgent", "b", "c"]);
  end("b");
  end("c");
  await Promise.all(all.filter((_, index) => index !== 1));
  // Slots that came free one after another are all there again.
  const again = [start("d"), start("e"), start("f")];
  await turn();
  assert.deepEqual(begun.slice(5), ["d", "e"]);
  for (const name of ["d", "e"]) end(name);
  await turn();
  end("f");
  await Promise.all(again);
});

test("packets may hold more binary values than socket.io-client accepts by itself, up to the bound", () => {
  const decode = (decoder: Decoder, values: number) => {
    let data: unknown[] = [];
    decoder.on("decoded", (packet) => (data = packet.data as unknown[]));
    const bytes = Array.from({ length: values }, (_, index) => Buffer.from([index]));
    for (const part of new Encoder().encode({ type: PacketType.EVENT, nsp: "/", data: ["x", ...bytes] })) decoder.add(part);
    return data.length - 1;
  };
  const own = () => new (parserFor(30).Decoder)();
  assert.throws(() => decode(new Decoder(), 11), /too many attachments/);
  assert.equal(decode(own(), 30), 30);
  assert.throws(() => decode(own(), 31), /too many attachments/);
});
