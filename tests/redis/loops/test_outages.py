"""Network failures of all kinds: commands time out, and everything recovers by itself."""

import asyncio
import contextlib
import errno
import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest

from chat_service.stores.redis.topology import Connector
from chat_service.testing import wait_until
from tests.redis import proxy as proxies
from tests.redis.pairs import TEXT, Pair
from tests.redis.proxy import Proxy
from tests.support.parts import parts_of
from tests.support.redis_servers import RedisServer
from tests.support.wire_errors import wire_error

pytestmark = pytest.mark.redis


async def test_connection_goes_silent_while_commands_overlap(
    behind: Pair, proxy: Proxy, server: RedisServer
) -> None:
    """Nothing is reset and new connections work: silent connections are replaced."""
    # Load the script now, otherwise it would be sent again after the loss.
    await behind.alice.call("roomMessage", "room", TEXT)
    dead = list(proxy.connections)
    for connection in dead:
        connection.sent = b""
    assert server.process is not None
    # The reply to the first command arrives after the second, lost one was sent.
    server.process.send_signal(signal.SIGSTOP)
    try:
        first = asyncio.create_task(behind.alice.emit("roomMessage", "room", TEXT))
        await wait_until(lambda: any(b"hello" in connection.sent for connection in dead), "the first command")
        proxy.mute = lambda connection: connection in dead
        second = asyncio.create_task(behind.alice.emit("listOwnSockets"))
        await asyncio.sleep(0)
    finally:
        server.process.send_signal(signal.SIGCONT)
    assert await first == [None, 2]
    assert await second == [wire_error("timeout"), None]

    async def ask() -> bool:
        error, _ = await behind.alice.emit("listOwnSockets")
        assert error in (None, wire_error("timeout"))
        return error is None

    await wait_until(ask, "commands on a new connection")
    await behind.works_again()
    await wait_until(lambda: not set(dead) & set(proxy.connections), "that of the bus is replaced as well")


def _ways_of_the_proxy(*refusals: Any) -> dict[str, "Trouble"]:
    def make(refuse: Any) -> "Trouble":
        @contextlib.contextmanager
        def trouble(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
            proxy.refuse = refuse
            proxy.cut()
            yield
            proxy.mend()

        return trouble

    return {refuse.__name__: make(refuse) for refuse in refusals}


def _errors_of_connecting(*errors: BaseException) -> dict[str, "Trouble"]:
    def make(error: BaseException) -> "Trouble":
        @contextlib.contextmanager
        def trouble(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
            make_connection = Connector.connection

            def connection(self: Connector, *args: Any) -> Any:
                async def connect() -> None:
                    await asyncio.sleep(0)
                    raise error

                made = make_connection(self, *args)
                made.connect = connect  # type: ignore[method-assign]
                return made

            with monkeypatch.context() as patch:
                patch.setattr(Connector, "connection", connection)
                proxy.cut()
                yield
            proxy.cut()

        return trouble

    return {repr(error): make(error) for error in errors}


@contextlib.contextmanager
def out_of_descriptors(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Exhaust the process's file descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    proxy.cut()
    # Occupy all descriptors below the limit.
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            os.dup(0)
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


Trouble = Callable[[Proxy, pytest.MonkeyPatch], AbstractContextManager[None]]

TROUBLES: dict[str, Trouble] = {
    **_ways_of_the_proxy(
        proxies.close, proxies.reset, proxies.answer_http, proxies.answer_too_much, proxies.answer_nonsense
    ),
    **_errors_of_connecting(
        # That of uvloop when the connection is reset before it can be set up.
        RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed"),
        AttributeError("'NoneType' object has no attribute 'setsockopt'"),
        OSError(errno.EMFILE, "Too many open files"),
        asyncio.CancelledError(),
    ),
    "out of descriptors": out_of_descriptors,
}


@pytest.mark.parametrize("name", TROUBLES)
async def test_outages_of_all_kinds(
    behind: Pair, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """However connecting fails, commands time out and the bus tasks survive."""
    loop = asyncio.get_running_loop()
    unhandled: list[Any] = []
    loop.set_exception_handler(lambda _, context: unhandled.append(context))
    with TROUBLES[name](proxy, monkeypatch):
        end, errors = loop.time() + 1.0, set()
        while loop.time() < end:
            errors.add((await behind.alice.emit("roomMessage", "room", TEXT))[0])
            errors.add((await behind.alice.emit("roomLeave", "elsewhere"))[0])
            await asyncio.sleep(0.02)
        assert errors == {wire_error("timeout")}
    await behind.works_again()
    assert unhandled == []
    failures = parts_of(behind.service).store.client.background.failures  # type: ignore[attr-defined]
    assert failures == {}
    assert "Traceback" not in caplog.text and "never retrieved" not in caplog.text
