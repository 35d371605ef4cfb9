import assert from "node:assert/strict";
import { test } from "node:test";

import { ChatError, type ChatClient } from "../src/index.js";
import { cut, make, server, unique, until } from "./support.js";

/** Seconds within the server's notice, so that a login begins with `loginExpiring`. */
const SOON = 30;
const LATER = 3600;

/** What happens to the login of a client, in words. */
function record(client: ChatClient): string[] {
  const lines: string[] = [];
  client.on("loginExpiring", () => lines.push("expiring"));
  client.on("loginRefreshed", (expiresAt) => lines.push(expiresAt === null ? "refreshed for ever" : "refreshed"));
  client.on("loginRefreshFailed", (error, willRetry) => {
    const reason = error instanceof ChatError ? error.code : String(error);
    lines.push(`${reason}, ${willRetry ? "again" : "given up"}`);
  });
  return lines;
}

test("a login that expires is refreshed with fresh credentials, after failures as well", async () => {
  const userName = unique("ann");
  let calls = 0;
  const auth = async () => {
    const call = ++calls;
    if (call === 2) throw new Error("the login page is down");
    return { userName, call, isBad: call === 3, expiresIn: call === 1 ? SOON : LATER };
  };
  const client = make("", { query: {}, auth, refreshDelay: 10 });
  const lines = record(client);
  const ends: (number | null)[] = [];
  client.on("loginRefreshed", (expiresAt) => ends.push(expiresAt));
  await client.connect();
  await until(() => ends.length === 1, "the refresh");
  assert.deepEqual(lines, ["expiring", "Error: the login page is down, again", "badToken, again", "refreshed"]);
  assert.ok(ends[0]! > Date.now() / 1000 + LATER - 120);
  const sent = (await server("refreshes", userName)) as { call: number }[];
  assert.deepEqual(sent.map(({ call }) => call), [3, 4]);
  assert.equal(client.state, "online");
});

test("a refresh that keeps failing is given up after four attempts", async () => {
  const userName = unique("ann");
  const auth = () => ({ userName, isBad: true, expiresIn: SOON });
  const client = make("", { query: {}, auth, refreshDelay: 1 });
  const lines = record(client);
  await client.connect();
  await until(() => lines.length === 5, "four attempts");
  assert.deepEqual(lines.slice(1), [...Array<string>(3).fill("badToken, again"), "badToken, given up"]);
  assert.equal(client.state, "online");
});

test("logins shorter than the server's notice are refreshed when half of them has passed, and not in a loop", async () => {
  const [ann, bob] = [unique("ann"), unique("bob")];
  const long = make("", { query: {}, auth: () => ({ userName: ann, expiresIn: SOON }), refreshDelay: 0 });
  const longLines = record(long);
  let calls = 0;
  const auth = () => ({ userName: bob, ...(++calls < 3 && { expiresIn: 1 }) });
  const short = make("", { query: {}, auth, refreshDelay: 0 });
  const shortLines = record(short);
  await Promise.all([long.connect(), short.connect()]);
  await until(() => longLines.length === 3, "the notice after the refresh");
  // A loop would refresh once in each of these round trips.
  for (let number = 0; number < 20; number += 1) await long.commands.listOwnSockets();
  assert.equal(((await server("refreshes", ann)) as unknown[]).length, 1);
  await until(() => shortLines.at(-1) === "refreshed for ever", "the refresh of the short login");
  assert.equal(shortLines.filter((line) => line === "refreshed").length, 1);
});

test("credentials that take too long are asked for again", async () => {
  const userName = unique("ann");
  let calls = 0;
  const auth = () => (++calls === 2 ? new Promise<never>(() => {}) : { userName, expiresIn: calls === 1 ? SOON : LATER });
  const client = make("", { query: {}, auth, timeout: 300, refreshDelay: 1 });
  const lines = record(client);
  await client.connect();
  await until(() => lines.at(-1) === "refreshed", "the refresh");
  assert.deepEqual(lines.slice(0, 2), ["expiring", "noAnswer, again"]);
});

test("credentials that come after the connection is lost are not sent", async () => {
  const userName = unique("ann");
  let calls = 0;
  let give: ((auth: Record<string, unknown>) => void) | undefined;
  const auth = () => {
    if (++calls === 2) return new Promise<Record<string, unknown>>((resolve) => (give = resolve));
    return { userName, call: calls, expiresIn: calls < 4 ? SOON : LATER };
  };
  const client = make("", { query: {}, auth });
  const lines = record(client);
  await client.connect();
  await until(() => give !== undefined, "the question for credentials");
  cut(client);
  await until(() => client.state === "online", "online again");
  give!({ userName, call: "late", expiresIn: LATER });
  // The new login expires soon as well.
  await until(() => lines.includes("refreshed"), "the refresh of the new login");
  assert.deepEqual(lines, ["expiring", "expiring", "refreshed"]);
  assert.deepEqual(await server("refreshes", userName), [{ userName, call: 4, expiresIn: LATER }]);
});

test("an auth function that throws or hangs at a reconnect is called again", async () => {
  const userName = unique("ann");
  let calls = 0;
  let giveLate: ((auth: Record<string, unknown>) => void) | undefined;
  const auth = () => {
    calls += 1;
    if (calls === 2) throw new Error("the login page is down");
    if (calls === 3) return Promise.reject(new Error("the login page is slow"));
    if (calls === 4) return new Promise<Record<string, unknown>>((resolve) => (giveLate = resolve));
    return { userName, call: calls };
  };
  const client = make("", { query: {}, auth, connectTimeout: 300 });
  const states: string[] = [];
  client.on("state", (state, reason) => states.push([state, reason?.code, ...(reason?.args ?? [])].join(" ")));
  const { id } = await client.connect();
  cut(client);
  await until(() => client.state === "online" && client.login?.id !== id, "online again");
  assert.equal(calls, 5);
  giveLate!({ userName, call: "late" });
  await client.commands.listOwnSockets();
  assert.deepEqual(states, [
    "connecting ",
    "online ",
    "reconnecting disconnected",
    "reconnecting connectFailed Error: the login page is down",
    "reconnecting connectFailed Error: the login page is slow",
    "online ",
  ]);
});

test("a client that waits for credentials can be retried and closed", async () => {
  const userName = unique("ann");
  let calls = 0;
  const auth = () => {
    if (++calls === 2 || calls === 4) throw new Error("the login page is down");
    return { userName };
  };
  const client = make("", { query: {}, auth, reconnectDelay: 20, maxReconnectDelay: 600_000 });
  const reasons: string[] = [];
  client.on("state", (_state, reason) => reason?.code === "connectFailed" && reasons.push(reason.code));
  await client.connect();
  cut(client);
  await until(() => reasons.length === 1, "the first failure");
  client.retryNow();
  await until(() => client.state === "online", "online again");
  assert.equal(calls, 3);
  cut(client);
  await until(() => reasons.length === 2, "the second failure");
  client.close();
  assert.equal(client.state, "closed");
  await client.connect();
  await client.commands.listOwnSockets();
  assert.equal(calls, 5);
});

test("a first login whose auth function fails is not retried", async () => {
  const client = make("", { query: {}, auth: () => Promise.reject(new Error("the login page is down")) });
  await assert.rejects(client.connect(), (error: ChatError) => error.code === "connectFailed");
  assert.equal(client.state, "closed");
});

test("a fixed auth object is not sent again", async () => {
  const userName = unique("ann");
  const client = make("", { query: {}, auth: { userName, expiresIn: SOON }, refreshDelay: 0 });
  const lines = record(client);
  await client.connect();
  await until(() => lines.length > 0, "the notice");
  // A refresh would have been sent before these.
  await client.commands.listOwnSockets();
  await client.commands.listOwnSockets();
  assert.deepEqual(await server("refreshes", userName), []);
  assert.deepEqual(lines, ["expiring"]);
});

test("a closed client does not wait for its next attempt", async (t) => {
  const started = t.mock.method(globalThis, "setTimeout");
  const cleared = t.mock.method(globalThis, "clearTimeout");
  const userName = unique("ann");
  const auth = () => ({ userName, isBad: true, expiresIn: SOON });
  const client = make("", { query: {}, auth, refreshDelay: 600_000 });
  const lines = record(client);
  await client.connect();
  await until(() => lines.length === 2, "the first failure");
  const pause = started.mock.calls.find((call) => call.arguments[1] === 600_000)?.result;
  assert.ok(pause);
  // A failure of this test must not keep the process alive.
  pause.unref();
  client.close();
  assert.ok(cleared.mock.calls.some((call) => call.arguments[0] === pause));
});
