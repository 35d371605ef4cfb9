"""Connecting to something other than Redis gives one clear line, on any event loop."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from chat_service.errors import StoreError, StoreTimeoutError
from chat_service.stores.redis.dialing import greeting
from chat_service.stores.redis.link import Link
from chat_service.stores.redis.redis_options import RedisOptions
from chat_service.stores.redis.topology import Connector
from tests.support.patience import PATIENCE
from tests.support.redis_servers import RedisServer, free_port

pytestmark = [pytest.mark.redis, pytest.mark.covers("store_option:url", "store_option:connect_timeout")]

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def closes_after_the_first_bytes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(10)
    writer.close()


async def is_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(-1)
    writer.close()


def says(data: bytes) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        writer.close()

    return serve


HTTP = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\n<html>"
PLAIN = {
    "closes": (closes, "it hung up immediately"),
    "resets": (resets, "it hung up immediately"),
    "closes later": (closes_after_the_first_bytes, "it hung up immediately"),
    "is silent": (is_silent, "no answer in 0.5 s"),
    "speaks HTTP": (
        says(HTTP),
        "the Redis protocol, it said 'HTTP/1.1 503 Service Unavailable'",
    ),
    "speaks SSH": (says(b"SSH-2.0-x\r\n"), "does not speak the Redis protocol, it said 'SSH-2.0-x'"),
    "sends bytes": (says(b"\x00\xff\r\n"), "does not speak the Redis protocol"),
    "speaks TLS": (
        says(b"\x15\x03\x03\x00\x02\x02\x28"),
        "it answered with TLS: for TLS, start the url with rediss://",
    ),
    "is full": (says(b"-ERR max number of clients reached\r\n"), "ERR max number of clients reached"),
    "is protected": (
        says(b"-DENIED Redis is in protected mode.\r\n"),
        "refused the login: DENIED Redis",
    ),
    "requires a login": (says(b"-NOAUTH Authentication required.\r\n"), "refused the login: NOAUTH"),
}
TLS = {
    "closes": (closes, "it hung up immediately"),
    "resets": (resets, "it hung up immediately"),
    "closes later": (closes_after_the_first_bytes, "it hung up immediately"),
    "is silent": (is_silent, "no answer in 0.5 s; if it does not speak TLS, start the url with redis://"),
    "speaks HTTP": (says(HTTP), "it does not speak TLS"),
}
KINDS = [("redis", name, *PLAIN[name]) for name in PLAIN] + [("rediss", name, *TLS[name]) for name in TLS]


async def failure(url: str, connect_timeout: float = PATIENCE) -> StoreError:
    options = RedisOptions(url=url, connect_timeout=connect_timeout)
    connector = Connector(options)
    link = Link(str(connector.address), lambda: connector.connection(connector.address), 5.0)
    with pytest.raises(StoreError) as caught:
        async with asyncio.timeout(PATIENCE):
            await link.open()
    assert not link.is_open
    await link.close()
    message = str(caught.value)
    assert message.startswith(f"Redis at {connector.address} ") and "\n" not in message
    return caught.value


@pytest.mark.parametrize(("scheme", "serve", "message"), [(kind[0], *kind[2:]) for kind in KINDS])
@pytest.mark.parametrize("login", ["", ":word@"], ids=["anybody", "password"])
async def test_non_redis_servers_give_one_line(scheme: str, serve: Serve, message: str, login: str) -> None:
    # Only silence takes all the time. A busy machine may need it for other answers.
    timeout = 0.5 if serve is is_silent else PATIENCE
    # Closed in any case: uvloop would wait for it for ever when it closes the loop.
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listener:
        error = await failure(
            f"{scheme}://{login}127.0.0.1:{listener.sockets[0].getsockname()[1]}/1", timeout
        )
    assert message in str(error) and "word" not in str(error)


async def test_unreachable_address(tmp_path: Path) -> None:
    assert "connection refused" in str(await failure(f"redis://127.0.0.1:{free_port()}"))
    assert "no such file" in str(await failure(f"unix://{tmp_path}/redis.sock"))
    assert "cannot be resolved" in str(await failure("redis://nobody.invalid"))


async def test_refused_greetings(redis_servers: RedisServer) -> None:
    address = f"127.0.0.1:{redis_servers.port}"
    error = await failure(f"redis://{address}/99")
    assert isinstance(error, StoreTimeoutError) and "SELECT 99: ERR DB index is out of range" in str(error)
    error = await failure(f"redis://nobody:word@{address}")
    assert not isinstance(error, StoreTimeoutError) and "refused the login: WRONGPASS" in str(error)
    with redis_servers.client() as client:
        client.execute_command("ACL", "SETUSER", "few", "on", ">word", "+@all", "-select", "-client")
        assert "SELECT 1: NOPERM" in str(await failure(f"redis://few:word@{address}/1"))
        assert "CLIENT SETNAME x: NOPERM" in str(await failure(f"redis://few:word@{address}?client_name=x"))
        client.execute_command("ACL", "DELUSER", "few")


@pytest.mark.covers("store_option:url")
async def test_a_connection_has_its_name_and_database(redis_servers: RedisServer) -> None:
    options = RedisOptions(url=f"redis://127.0.0.1:{redis_servers.port}/3?client_name=the-chat")
    connector = Connector(options)
    link = Link("here", lambda: connector.connection(connector.address), 5.0)
    await link.open()
    info = (await link.submit("CLIENT", "INFO")).decode()
    assert " name=the-chat " in info and " db=3 " in info
    await link.close()


def test_the_greeting() -> None:
    assert [command[:2] for command in greeting(None, None, 0, None)] == [("CLIENT", "SETINFO")]
    assert greeting("user", None, 0, None)[0] == ("AUTH", "user", "")
    assert greeting(None, "word", 0, None)[0] == ("AUTH", "word")
    assert greeting("user", "word", 2, "name")[:3] == [
        ("AUTH", "user", "word"),
        ("CLIENT", "SETNAME", "name"),
        ("SELECT", 2),
    ]
