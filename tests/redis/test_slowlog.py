"""SLOWLOG shows nothing with which one could sign: neither ``bus_secret`` nor the keys derived from it."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from click.testing import CliRunner

from chat_service.cli import app
from chat_service.errors import StoreError
from chat_service.publisher import AsyncPublisher
from chat_service.stores.redis import RedisStore, scripts
from chat_service.stores.redis.envelopes import EnvelopeCodec
from tests.redis.test_parts import LUA, SCRIPTS
from tests.support.backends import InRedis
from tests.support.world import World

pytestmark = pytest.mark.redis

SIGNING = [name for name in SCRIPTS if "-- include: bus\n" in (LUA / f"{name}.lua").read_text("utf-8")]
TEXT = {"textMessage": "hello"}
#: What a SLOWLOG entry shows of an argument.
SHOWN = 128


class SlowLog:
    """The slow logs of all nodes, with everything in them and no script loaded."""

    def __init__(self, backend: InRedis) -> None:
        self._clients = backend.clients()
        for client in self._clients:
            client.config_set("slowlog-log-slower-than", 0)
            client.config_set("slowlog-max-len", 100_000)
            client.script_flush()
            client.slowlog_reset()

    def arguments(self) -> list[list[bytes]]:
        found = []
        for client in self._clients:
            found += [[bytes(part) for part in entry[3]] for entry in raw_slowlog(client)]
        return found

    def close(self) -> None:
        for client in self._clients:
            client.config_set("slowlog-log-slower-than", 10_000)
            client.config_set("slowlog-max-len", 128)
            client.slowlog_reset()
            client.close()


def raw_slowlog(client: Any) -> Any:
    """The entries as they are; the library's parser joins the arguments."""
    connection = client.connection_pool.get_connection()
    try:
        connection.send_command("SLOWLOG", "GET", -1)
        return connection.read_response()
    finally:
        client.connection_pool.release(connection)


@pytest.fixture
async def log(backend: InRedis) -> AsyncIterator[SlowLog]:
    made = SlowLog(backend)
    yield made
    made.close()


def parts_of_keys(secret: bytes) -> set[bytes]:
    """Pieces of the secret and of all that is derived from it, in each form that they could have."""
    found = set()
    codec = EnvelopeCodec(secret)
    for key in (secret, *(key[:20] for key in codec.signing)):
        for at in range(0, len(key) - 5):
            piece = key[at : at + 6]
            found |= {piece, piece.hex().encode(), "".join(f"\\{byte:03}" for byte in piece).encode()}
    return found


def leaked(entries: list[list[bytes]], secret: bytes) -> list[bytes]:
    pieces = parts_of_keys(secret)
    return [part for entry in entries for part in entry if any(piece in part for piece in pieces)]


# One that is a key of the HMAC itself, and one of which the key is the digest.
@pytest.mark.parametrize("backend", ["redis", "cluster"], indirect=True)
@pytest.mark.parametrize("size", [20, 48], ids=["short", "long"])
@pytest.mark.covers("store_option:bus_secret")
async def test_the_slow_log_shows_no_key(backend: InRedis, log: SlowLog, size: int) -> None:
    secret = secrets.token_hex(size)
    backend.options["bus_secret"] = secret
    world = World(backend)
    try:
        await use(world, backend, secret)
    finally:
        await world.close()
    entries = log.arguments()
    called = {entry[0].upper() for entry in entries}
    assert {b"EVAL", b"EVALSHA", b"SPUBLISH"} <= called
    loaded = [entry[1] for entry in entries if entry[0].upper() == b"EVAL"]
    for name in SIGNING:
        text = scripts.load(name, EnvelopeCodec(secret.encode()).signing).text.encode()
        assert any(shown.startswith(text[: SHOWN // 2]) for shown in loaded), name
    assert leaked(entries, secret.encode()) == []
    # It would have been found.
    assert leaked([[secret.encode()]], secret.encode())
    assert leaked([[EnvelopeCodec(secret.encode()).signing[0]]], secret.encode())


async def use(world: World, backend: InRedis, secret: str) -> None:
    """Everything that reaches Redis: clients, server calls, the command line, the publisher, each script."""
    one, other = await world.start(enable_userlist_updates=True), await world.start()
    await one.service.add_room("hall", enable_userlist_updates=True)
    alice, bob = await one.joined("alice", "hall"), await other.joined("bob", "hall")
    await alice.call("roomMessage", "hall", TEXT)
    await alice.call("directMessage", "bob", TEXT)
    await bob.wait_for("directMessage")
    await other.service.exec_user_command("alice", "systemMessage", TEXT)
    await one.service.disconnect_user_sockets("bob")
    async with AsyncPublisher(store_options=backend.options) as publisher:
        await publisher.publish("hall", TEXT, key="k")
    options = ["--url", str(backend.options["url"]), "--prefix", backend.prefix]
    options += ["--cluster"] if backend.options["cluster"] else []
    for command in (("send", "hall", "hello"), ("kick", "alice"), ("ban", "alice"), ("rooms",)):
        call = [*command, *options]
        done = await asyncio.to_thread(CliRunner().invoke, app, call, env={"CHAT_STORE_BUS_SECRET": secret})
        assert done.exit_code == 0, done.output
    store = RedisStore(backend.options)
    try:
        await store.client.open()
        for name in SIGNING:
            # With too few arguments: the call is logged, whatever becomes of it.
            script = scripts.load(name, store._codec.signing)
            keys = [*store.keys.room_keys(":probe")]
            for _ in range(2):
                with suppress(StoreError):
                    await store.client.run(script, keys, "1")
    finally:
        await store.close()


@pytest.mark.parametrize("name", SIGNING)
def test_keys_come_after_what_the_slow_log_shows(name: str) -> None:
    codec = EnvelopeCodec(b"\x00'\\\n" * 12)
    script = scripts.load(name, codec.signing)
    shown, rest = script.text.encode()[: SHOWN * 2], script.text.encode()[SHOWN * 2 :]
    assert not any(piece in shown for piece in parts_of_keys(b"\x00'\\\n" * 12))
    assert rest.rstrip().splitlines()[-1].startswith(b"return run('")
    assert codec.signing[0] not in rest and "run(" not in repr(script)
