"""Start and exit of processes: signals, startup errors, and no leftovers."""

import asyncio
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from example import server
from tests.e2e.clients import Client
from tests.e2e.conftest import POLLING, UPGRADE, WEBSOCKET, ConnectTo, Serve
from tests.e2e.processes import Process, example_server, run
from tests.e2e.raw import polling, websocket
from tests.support.patience import PATIENCE

HERE = Path(__file__).parent

#: A service whose messages take long, and that tells what it does. The first argument is ``close_timeout``.
SLOW = """
import asyncio, sys
from chat_service import ChatService

async def slow(call):
    print("command begins", flush=True)
    try:
        await asyncio.sleep(0.3)
    except asyncio.CancelledError:
        print("command cancelled", flush=True)
        raise
    print("command ends", flush=True)

async def on_start(service):
    await service.add_room("room")

service = ChatService(
    host="127.0.0.1", port=0, close_timeout=float(sys.argv[1]), hooks={
        "on_connect": lambda service, id: service.transport.get_handshake_data(id).query["userName"],
        "on_start": on_start,
        "on_disconnect": lambda service, info: print("on_disconnect", info.user_name, flush=True),
        "on_close": lambda service, error: print("on_close", error, flush=True),
        "room_message_after": slow,
    }
)
service.on("ready", lambda: print(f"port {service.port}", flush=True))
service.on("closed", lambda error: print("closed", error, flush=True))
service.run()
"""


async def begin_command(process: Process, connect: ConnectTo) -> Client:
    """Connect to the service of ``SLOW``, and wait until its hook runs for a message. Returns the client."""
    port = int((await process.wait_for("port ")).split()[1])
    client = await connect(port, "alice")
    await client.wait_for("loginConfirmed")
    await client.call("roomJoin", "room")
    await client.tell("roomMessage", "room", {"textMessage": "x"})
    await process.wait_for("command begins")
    return client


@pytest.mark.covers("api:run")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signal_ends_the_example(connect: ConnectTo, number: int) -> None:
    async with example_server("-X", "dev", "-W", "error") as (process, port):
        clients = [await connect(port, "user", transports=way) for way in (WEBSOCKET, POLLING, UPGRADE)]
        clients.append(await connect(port, "user", kind="py", transports=POLLING))
        for client in clients:
            await client.wait_for("loginConfirmed")
            await client.call("roomJoin", "default")
        process.send_signal(number)
        assert await process.wait() == 0
        for client in clients[:3]:
            # A lost connection, after which clients connect again by themselves.
            assert await client.wait_for("disconnect") in (["transport close"], ["transport error"])
        errors = [line for line in process.errors.splitlines() if " INFO draining: " not in line]
        assert errors == []


@pytest.mark.covers(
    "hook:on_close", "event:ready", "event:closed", "hook:on_disconnect", "option:close_timeout"
)
async def test_commands_in_flight_are_finished(connect: ConnectTo) -> None:
    async with run(sys.executable, "-X", "dev", "-W", "error", "-c", SLOW, "10") as process:
        await begin_command(process, connect)
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
        lines = process.output.splitlines()
        assert lines.index("command ends") < lines.index("on_close None") < lines.index("closed None")
        assert "on_disconnect alice" in lines
        assert process.errors == ""


@pytest.mark.covers("option:close_timeout")
async def test_commands_that_take_too_long_are_cancelled(connect: ConnectTo) -> None:
    script = SLOW.replace("sleep(0.3)", "sleep(3600)")
    async with run(sys.executable, "-X", "dev", "-c", script, "0.05") as process:
        await begin_command(process, connect)
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 1
        assert "command cancelled" in process.output and "closed still running" in process.output
        (line,) = process.errors.splitlines()
        assert line.startswith("chat_service did not close cleanly: still running after 0.05 s")


async def test_port_in_use() -> None:
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        async with run(sys.executable, "-X", "dev", "example/server.py", env={"PORT": port}) as process:
            assert await process.wait() == 1
    (line,) = process.errors.splitlines()
    assert line.startswith("chat_service cannot start: ") and port in line
    assert process.output == ""


async def test_bad_port() -> None:
    async with run(sys.executable, "-X", "dev", "example/server.py", env={"PORT": "many"}) as process:
        assert await process.wait() == 1
    (line,) = process.errors.splitlines()
    assert line.startswith("cannot start: PORT=many: ")


@pytest.mark.parametrize("port", ["many", "-1", "70000", ""])
def test_what_is_said_of_a_bad_port(port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", port)
    with pytest.raises(SystemExit, match=f"^cannot start: PORT={port}: "):
        server.main()


@pytest.mark.covers("hook:on_start")
async def test_on_start_that_raises() -> None:
    script = """
from chat_service import ChatService

for error in (OSError(5, "no disk"), ValueError(), RuntimeError("no database")):
    def on_start(service):
        raise error

    try:
        ChatService(host="127.0.0.1", port=0, hooks={"on_start": on_start}).run()
    except SystemExit as end:
        print("code", end.code, flush=True)
        if isinstance(error, RuntimeError):
            raise
"""
    async with run(sys.executable, "-X", "dev", "-W", "error", "-c", script) as process:
        assert await process.wait() == 1
    assert process.output == "code 1\n" * 3
    told = ("[Errno 5] no disk", "ValueError", "no database")
    assert process.errors.splitlines() == [f"chat_service cannot start: {text}" for text in told]


async def test_signal_during_the_start_ends_it() -> None:
    script = """
import asyncio
from chat_service import ChatService

async def on_start(service):
    print("starting", flush=True)
    await asyncio.sleep(0.2)

ChatService(host="127.0.0.1", port=0, hooks={"on_start": on_start}).run()
"""
    async with run(sys.executable, "-X", "dev", "-W", "error", "-c", script) as process:
        await process.wait_for("starting")
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    assert process.errors == ""


async def test_second_signal_ends_at_once(connect: ConnectTo) -> None:
    script = SLOW.replace("sleep(0.3)", "sleep(60)")
    async with run(sys.executable, "-X", "dev", "-c", script, "60") as process:
        client = await begin_command(process, connect)
        process.send_signal(signal.SIGINT)
        await client.wait_for("disconnect")
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 130


#: What a hook may do to an event loop, and to the exception of a second Ctrl+C.
BLOCKED = """
async def slow(call):
    import time
    print("command begins", flush=True)
    while True:
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            print("swallowed", flush=True)
"""


async def test_signals_end_a_process_whose_loop_is_blocked(connect: ConnectTo) -> None:
    script = SLOW.replace("\nasync def on_start", f"{BLOCKED}\nasync def on_start")
    async with run(sys.executable, "-c", script, "60") as process:
        await begin_command(process, connect)
        # Signals do not queue: two at once are one.
        while "swallowed" not in process.output:
            process.send_signal(signal.SIGINT)
            await asyncio.sleep(0.1)
        assert await process.wait() == 130


#: Starts and closes services with clients on every transport; prints the open files of each round.
ROUNDS = """
import asyncio, gc, os, sys, threading
import aiohttp, socketio
from chat_service import ChatService

NAMESPACE = "/chat-service"

async def talk(port, transports):
    async with aiohttp.ClientSession() as http:
        client = socketio.AsyncClient(http_session=http, reconnection=False)
        confirmed = asyncio.get_running_loop().create_future()
        client.on("loginConfirmed", lambda *args: confirmed.set_result(args), namespace=NAMESPACE)
        await client.connect(f"http://127.0.0.1:{port}", transports=transports, namespaces=[NAMESPACE])
        await confirmed
        yield
        for loop in (client.eio.read_loop_task, client.eio.write_loop_task):
            if loop is not None:
                loop.cancel()
                await asyncio.wait([loop])

async def round_of_life():
    service = ChatService(host="127.0.0.1", port=0, hooks={"on_connect": lambda service, id: "user"})
    await service.start()
    clients = [talk(service.port, way) for way in (["websocket"], ["polling"], ["polling", "websocket"])]
    for client in clients:
        await anext(client)
    await service.close()
    for client in clients:
        await anext(client, None)
    for _ in range(10):
        await asyncio.sleep(0.01)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, left

async def main():
    # A busy machine is not the service's fault.
    asyncio.get_running_loop().slow_callback_duration = 60
    for _ in range(6):
        await round_of_life()
        gc.collect()
        print("files", len(os.listdir("/proc/self/fd")), "threads", threading.active_count(), flush=True)

asyncio.run(main())
print("done")
"""


async def test_many_starts_and_closes_leave_nothing_behind() -> None:
    async with run(sys.executable, "-X", "dev", "-W", "error", "-c", ROUNDS) as process:
        assert await process.wait() == 0, process.errors
    assert process.errors == ""
    rounds = [line for line in process.output.splitlines() if line.startswith("files")]
    assert len(rounds) == 6 and len(set(rounds[1:])) == 1, rounds


#: Nothing that a close could wait for ends within the patience of a test.
ENDLESS: dict[str, Any] = {
    "close_timeout": 3600.0,
    "transport_options": {"ping_interval": 3600.0, "ping_timeout": 3600.0},
}


@pytest.mark.covers("transport_option:serializer")
async def test_a_client_that_does_not_read_cannot_hold_up_the_close(serve: Serve, login: ConnectTo) -> None:
    service = await serve(hooks={"room_messages_checker": lambda message: None}, **ENDLESS)
    await service.add_room("room")
    url = f"/socket.io/?EIO=4&transport=websocket&userName=deaf HTTP/1.1\r\nHost: 127.0.0.1:{service.port}"
    head = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13"
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(deaf, ("127.0.0.1", service.port))
        await loop.sock_sendall(deaf, f"GET {url}\r\n{head}\r\n{key}\r\n\r\n".encode())
        for text in ("40/chat-service,", '42/chat-service,["roomJoin","room"]'):
            # A text frame with a zero mask.
            frame = bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text.encode()
            await loop.sock_sendall(deaf, frame)
            seen = b""
            while text.startswith("40") and b"loginConfirmed" not in seen:
                seen += await loop.sock_recv(deaf, 1000)
        talker = await login(service, "talker")
        while (
            "deaf" not in (await service.exec_user_command(True, "roomGetAccessList", "room", "userlist"))[0]
        ):
            await asyncio.sleep(0)
        await talker.call("roomJoin", "room")
        for _ in range(20):
            await talker.call("roomMessage", "room", {"text": "x" * 500_000})
        async with asyncio.timeout(PATIENCE):
            await service.close()


async def test_clients_that_do_not_answer_cannot_hold_up_the_close(serve: Serve) -> None:
    service = await serve(**ENDLESS)
    async with websocket(service.port) as one, polling(service.port) as other, polling(service.port):
        await one.login()
        await other.login()
        async with asyncio.timeout(PATIENCE):
            await service.close()
        # Not told to stay away, so clients connect again: to this instance or to another one.
        assert "41/chat-service," not in await one.wait_closed()


async def test_polling_clients_are_told_of_the_close(serve: Serve) -> None:
    service = await serve()
    async with polling(service.port, "one") as waiting:
        await waiting.login()
        poll = asyncio.create_task(waiting.get())
        eio = service.transport.get_server().eio
        while not eio.sockets[waiting.sid].polls.is_waiting:
            await asyncio.sleep(0)
        closing = asyncio.create_task(service.close())
        # The poll ends, and there will be no next one: the connection is lost, not closed for good.
        assert await poll == ["6"]
        await closing


@pytest.mark.parametrize("transports", [WEBSOCKET, POLLING, UPGRADE])
async def test_clients_come_back_to_a_service_that_is_started_again(
    serve: Serve, login: ConnectTo, transports: list[str]
) -> None:
    service = await serve()
    port = service.port
    client = await login(service, "alice", transports=transports, reconnection=True, reconnectionDelay=20)
    await service.close()
    await client.wait_for("disconnect")
    again = await serve(port=port)
    await client.wait_for("loginConfirmed")
    assert await again.has_user("alice")


@pytest.mark.covers("api:start", "api:close")
async def test_close_is_idempotent_and_may_be_called_at_once(serve: Serve, login: ConnectTo) -> None:
    service = await serve()
    client = await login(service, "alice", transports=POLLING)
    await asyncio.gather(service.close(), service.close())
    await service.close()
    await client.wait_for("disconnect")
    assert service.port is None
