"""The ASGI application under several servers, each in its own process, from start to shutdown."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from chat_service.testing import wait_until
from tests.e2e.conftest import ConnectTo
from tests.e2e.mounted import WAYS
from tests.e2e.processes import Process, run
from tests.support.patience import PATIENCE
from tests.support.redis_servers import free_port

pytestmark = [pytest.mark.covers("api:asgi_app"), pytest.mark.filterwarnings("default")]

APP = """
from chat_service import ChatService

def on_connect(service, socket_id):
    return service.transport.get_handshake_data(socket_id).query.get("userName")

async def on_start(service):
    print("service starts", flush=True)
    await service.add_room("room")

def on_close(service, error):
    print("service closes", error, flush=True)

def on_disconnect(service, info):
    print("gone:", info.user_name, flush=True)

hooks = {
    "on_connect": on_connect, "on_disconnect": on_disconnect, "on_start": on_start, "on_close": on_close
}
app = ChatService(hooks=hooks).asgi_app()
"""
UVICORN = ("uvicorn", "app:app", "--host", "127.0.0.1", "--port", "{port}", "--log-level", "warning")
SERVERS = {
    "uvicorn, websockets": (*UVICORN, "--ws", "websockets"),
    "uvicorn, wsproto, h11, asyncio": (*UVICORN, "--ws", "wsproto", "--http", "h11", "--loop", "asyncio"),
    "uvicorn, no lifespan": (*UVICORN, "--lifespan", "off"),
    "hypercorn": ("hypercorn", "app:app", "--bind", "127.0.0.1:{port}"),
    "granian": (
        "granian", "app:app", "--interface", "asgi", "--host", "127.0.0.1", "--port", "{port}", "--no-log",
    ),
}  # fmt: skip


@asynccontextmanager
async def serving(folder: Path, name: str) -> AsyncIterator[tuple[Process, int]]:
    (folder / "app.py").write_text(APP, "utf-8")
    port = free_port()
    command = [part.format(port=port) for part in SERVERS[name]]
    paths = f"{folder}:{Path(__file__).parents[2]}"
    async with run(sys.executable, "-m", *command, env={"PYTHONPATH": paths}) as process:

        async def listens() -> bool:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                return False
            writer.close()
            return True

        await wait_until(listens, f"{name} listens")
        yield process, port


@pytest.mark.parametrize("name", SERVERS)
async def test_clients_talk_and_the_server_stops_cleanly(
    connect: ConnectTo, tmp_path: Path, name: str
) -> None:
    async with serving(tmp_path, name) as (process, port):
        clients = []
        for number, transports in enumerate(WAYS):
            client = await connect(port, f"user{number}", transports=transports)
            await client.wait_for("loginConfirmed")
            await client.call("roomJoin", "room")
            clients.append(client)
        for size in (1, 100_000):
            await clients[0].call("roomMessage", "room", {"textMessage": "x" * size})
            for client in clients:
                assert (await client.wait_for("roomMessage"))[1]["textMessage"] == "x" * size
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        async with aiohttp.ClientSession(timeout=timeout) as http:
            async with http.get(f"http://127.0.0.1:{port}/nothing") as response:
                assert response.status == 404
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await http.ws_connect(f"http://127.0.0.1:{port}/nothing")
            assert caught.value.status in (403, 404)
        for number, client in enumerate(clients):
            await client.disconnect()
            # A poll that waits would hold the end up.
            await process.wait_for(f"gone: user{number}")
        process.send_signal(signal.SIGTERM)
        await process.wait()
    written = process.output + process.errors
    assert "service starts" in process.output and "Traceback" not in written
    if name == "uvicorn, no lifespan":
        assert "sent no lifespan events" in written
    else:
        assert "service closes None" in process.output
