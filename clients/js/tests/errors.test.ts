import assert from "node:assert/strict";
import { test } from "node:test";

import { ChatError, ERROR_TEXTS, errorText, type ErrorCode } from "../src/index.js";

const ARGUMENTS: Partial<Record<ErrorCode, unknown[]>> = {
  badArgument: [1, { a: [true] }],
  internalError: ["it broke (incident 12)"],
};

test("every error is read from its text", () => {
  for (const [code, template] of Object.entries(ERROR_TEXTS)) {
    const places = template.match(/%/g)?.length ?? 0;
    const args = ARGUMENTS[code as ErrorCode] ?? ["x %s (y)", "z"].slice(0, places);
    const error = ChatError.fromWire(`ChatServiceError: ${errorText(code, args)}`);
    assert.equal(error.code, code);
    assert.deepEqual(error.args, args);
    assert.equal(error.message, errorText(code, args));
  }
});

test("errors as objects, of applications, and of no known form", () => {
  const raw = ChatError.fromWire({ name: "ChatServiceError", code: "noRoom", args: ["tea"] });
  assert.deepEqual([raw.code, raw.args, raw.message], ["noRoom", ["tea"], "No such room tea"]);
  assert.equal(ChatError.fromWire("ChatServiceError: tooLoud").code, "tooLoud");
  assert.equal(ChatError.fromWire("ChatServiceError: something of ours").code, "internalError");
  assert.deepEqual(ChatError.fromWire({ odd: 1 }).args, [{ odd: 1 }]);
  assert.equal(ChatError.fromWire('ChatServiceError: Bad argument at position 0, value "aaa…').args[1], '"aaa…');
  assert.equal(new ChatError("noAnswer", ["roomJoin"]).message, "No answer to roomJoin in time");
});
