"""run and serve as processes: signals, workers, reload, and startup errors."""

import asyncio
import json
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from chat_service.testing import wait_until
from tests.cli.conftest import Site, invoke
from tests.e2e.clients import PythonClients
from tests.e2e.processes import Process, port_in, run
from tests.support.redis_servers import RedisServer

pytestmark = pytest.mark.e2e
WEBSOCKET = ["websocket"]
#: Seconds for something that starts processes, on a machine that has much to do.

SERVICE = """
import os
from chat_service import ChatService

def on_connect(service, socket_id):
    return service.transport.get_handshake_data(socket_id).query["userName"]

async def on_start(service):
    if not await service.has_room("room"):
        try:
            await service.add_room("room")
        except Exception:
            pass

def make():
    service = ChatService(
        host="127.0.0.1", port=0, hooks={{"on_connect": on_connect, "on_start": on_start}}, {options}
    )
    service.on("ready", lambda: print("worker ready", os.getpid(), flush=True))
    return service
"""


def chat(*args: Any) -> AbstractAsyncContextManager[Process]:
    return run(sys.executable, "-m", "chat_service", *map(str, args))


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., Awaitable[Any]]]:
    clients = PythonClients()
    yield lambda port, name: clients.connect(f"http://127.0.0.1:{port}", name, transports=WEBSOCKET)
    await clients.close()


async def port_of(process: Process) -> int:
    return port_in(await process.wait_for("listens at"))


def write(tmp_path: Path, **options: Any) -> str:
    (tmp_path / "served.py").write_text(
        SERVICE.format(options=", ".join(f"{name}={value!r}" for name, value in options.items()))
    )
    return "served:make"


@pytest.mark.covers("cli:run")
async def test_run(tmp_path: Path, connect: Any) -> None:
    async with chat("run", write(tmp_path), "--app-dir", tmp_path, "--log-format", "json") as process:
        client = await connect(await port_of(process), "alice")
        await client.wait_for("loginConfirmed")
        assert await client.call("roomJoin", "room") == 1
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
        assert "Traceback" not in process.errors
        assert all(line.startswith("{") for line in process.errors.splitlines())


async def test_run_at_another_address(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    args = ["run", write(tmp_path), "--app-dir", tmp_path, "--port", port, "--host", "127.0.0.1"]
    async with chat(*args) as process:
        assert await port_of(process) == port
        async with chat(*args) as second:
            assert await second.wait() == 5
            assert second.errors.count("\n") == 1 and "address already in use" in second.errors
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0
        assert "Traceback" not in process.errors


@pytest.mark.redis
@pytest.mark.covers("cli:run", "api:announce")
async def test_workers_share_a_port(redis_site: Site, tmp_path: Path, connect: Any) -> None:
    options = {"transport_options": {"transports": WEBSOCKET}}
    app = write(
        tmp_path, store="redis", store_options=redis_site.backend.options, drain_seconds=0.1, **options
    )
    async with chat("run", app, "--app-dir", tmp_path, "--workers", "2") as process:
        port = await port_of(process)
        assert (await process.wait_for(", 2 workers, ")).endswith("Ctrl+C stops it")
        pids = {int(pid) for pid in re.findall(r"worker ready (\d+)", process.output)}
        assert len(pids) == 2
        clients = [await connect(port, f"user{number}") for number in range(4)]
        for client in clients:
            await client.wait_for("loginConfirmed")
            await client.call("roomJoin", "room")
        await clients[0].call("roomMessage", "room", {"textMessage": "to all workers"})
        for client in clients:
            await client.wait_for("roomMessage")

        args = ["run", app, "--app-dir", str(tmp_path), "--workers", "2", "--port", str(port)]
        second = await asyncio.to_thread(invoke, *args)
        assert (second.exit_code, second.stderr) == (
            5,
            f"chat-service: cannot listen on 127.0.0.1 port {port}: Address already in use\n",
        )

        # One dies: it is started again.
        victim = min(pids)
        os.kill(victim, signal.SIGKILL)
        await wait_until(lambda: "exited with code 137; restart in 0.5 s" in process.errors, "its end")
        await wait_until(
            lambda: len(set(re.findall(r"worker ready (\d+)", process.output))) == 3,
            "a new one",
        )

        # All are replaced, one after the other.
        process.send_signal(signal.SIGHUP)
        await wait_until(lambda: process.errors.count("is replaced") == 2, "new workers")
        newest = {int(pid) for pid in re.findall(r"worker ready (\d+)", process.output)[-2:]}
        assert not newest & pids
        late = await connect(port, "late")
        await late.wait_for("loginConfirmed")

        # New ones that cannot start replace nobody.
        (tmp_path / "served.py").write_text("def broken(")
        process.send_signal(signal.SIGHUP)
        await wait_until(lambda: "the old ones stay" in process.errors, "the broken one")
        await late.call("roomJoin", "room")

        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
        assert "Traceback" not in process.errors
    for pid in newest:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    # The killed instance is left for others to recover, but none is running.
    answer = await redis_site.json("recover", "--heartbeat-timeout", "0.001")
    assert [item["result"] for item in answer["instances"]] == ["recovered"]


@pytest.mark.redis
async def test_workers_do_not_outlive_their_parent(redis_site: Site, tmp_path: Path) -> None:
    app = write(tmp_path, store="redis", store_options=redis_site.backend.options)
    async with chat("run", app, "--app-dir", tmp_path, "--workers", "2", "--port-per-worker") as process:
        line = await process.wait_for(", 2 workers, ")
        first, second = map(int, re.findall(r":(\d+)/", line))
        assert first != second
        pids = [int(pid) for pid in re.findall(r"worker ready (\d+)", process.output)]
        process.send_signal(signal.SIGKILL)

        await wait_until(lambda: not any(map(_is_alive, pids)), "the end of the workers")


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.redis
async def test_workers_whose_store_is_away(tmp_path: Path) -> None:
    options = {
        "transport_options": {"transports": WEBSOCKET},
        "store_options": {"url": "redis://127.0.0.1:1"},
    }
    app = write(tmp_path, store="redis", **options)
    async with chat("run", app, "--app-dir", tmp_path, "--workers", "2") as process:
        assert await process.wait() == 4
        assert process.errors.count("\n") == 1 and "127.0.0.1:1 cannot be reached" in process.errors


@pytest.mark.redis
async def test_workers_of_which_one_cannot_start(redis_site: Site, tmp_path: Path) -> None:
    options = {"transport_options": {"transports": WEBSOCKET}, "store_options": redis_site.backend.options}
    app = write(tmp_path, store="redis", **options)
    # The first one makes the room, the others stumble over it.
    source = tmp_path / "served.py"
    source.write_text(source.read_text().replace("if not await service.has_room", "if True or not"))
    source.write_text(source.read_text().replace("        except Exception:\n            pass\n", ""))
    source.write_text(source.read_text().replace("        try:\n            await", "        await"))
    async with chat("run", app, "--app-dir", tmp_path, "--workers", "2") as process:
        assert await process.wait() == 1
        assert "cannot start: Room room already exists" in process.errors
        assert "workers listen" not in process.output


@pytest.mark.redis
async def test_a_second_signal_ends_workers_at_once(
    redis_servers: RedisServer, tmp_path: Path, connect: Any
) -> None:
    options = {"transport_options": {"transports": WEBSOCKET}, "store_options": {"url": redis_servers.url}}
    app = write(tmp_path, store="redis", drain_delay=600.0, **options)
    async with chat("run", app, "--app-dir", tmp_path, "--workers", "2") as process:
        client = await connect(await port_of(process), "alice")
        await client.wait_for("loginConfirmed")
        process.send_signal(signal.SIGTERM)
        await wait_until(lambda: process.errors.count("draining") == 2, "the drain")
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 137
    with redis_servers.client() as redis:
        for key in redis.scan_iter("chat:*"):
            redis.delete(key)


async def test_reload(tmp_path: Path) -> None:
    app = write(tmp_path)
    source = tmp_path / "served.py"
    async with chat("run", app, "--app-dir", tmp_path, "--reload") as process:
        await process.wait_for("worker ready")
        text = source.read_text()
        source.write_text(text.replace("worker ready", "newer worker ready"))
        await process.wait_for("newer worker ready")
        source.write_text("def broken(")
        await wait_until(lambda: "exited with code 3; waiting" in process.errors, "its end")
        source.write_text(text.replace("worker ready", "mended worker ready"))
        await process.wait_for("mended worker ready")
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
        assert "Traceback" not in process.errors


async def test_a_reloaded_service_does_not_outlive_its_parent(tmp_path: Path) -> None:
    args = ["run", write(tmp_path), "--app-dir", tmp_path, "--reload"]
    async with chat(*args) as process:
        line = await process.wait_for("worker ready")
        pid = int(line.rpartition(" ")[2])
        process.send_signal(signal.SIGKILL)
        await wait_until(lambda: not _is_alive(pid), "the end of the service")


@pytest.mark.redis
@pytest.mark.covers("cli:serve")
async def test_serve(redis_site: Site, tmp_path: Path, connect: Any) -> None:
    config = tmp_path / "chat.toml"
    config.write_text(f"""
        [service]
        host = "127.0.0.1"
        port = 0
        operations_port = 0
        [store]
        type = "redis"
        cluster = {str(redis_site.backend.options["cluster"]).lower()}
        prefix = "{redis_site.backend.prefix}"
        [transport]
        transports = ["websocket"]
        [login]
        type = "name"
        source = "query"
        [[rooms]]
        name = "room"
        owner = "alice"
        whitelist_only = true
    """)
    url = {"CHAT_STORE_URL": str(redis_site.backend.options["url"])}
    command = (sys.executable, "-m", "chat_service", "serve", "--config", config)
    async with run(*command, "--workers", "2", env=url) as process:
        port = await port_of(process)
        alice, bob = [await connect(port, name) for name in ("alice", "bob")]
        for client in (alice, bob):
            await client.wait_for("loginConfirmed")
        assert await alice.call("roomJoin", "room") == 1
        assert "not allowed" in await bob.error("roomJoin", "room")
        (room,) = (await redis_site.json("rooms"))["rooms"]
        assert (room["owner"], room["whitelistOnly"], room["membersCount"]) == ("alice", True, 1)
        assert len((await redis_site.json("instances"))["instances"]) == 2
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    # The room is there already, and nothing is in the way of a second start.
    async with run(*command, env=url) as process:
        await port_of(process)
        await process.wait_for("metrics and health: http://127.0.0.1:")
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0
    (room,) = (await redis_site.json("rooms"))["rooms"]
    assert room["membersCount"] == 0


@pytest.mark.parametrize(
    ("store", "code", "message"),
    [
        ({"url": "redis://127.0.0.1:1"}, 4, "127.0.0.1:1 cannot be reached"),
        ({"url": "redis://:wrong@127.0.0.1:{port}"}, 4, "refused the login"),
        ({"url": "redis://127.0.0.1:{port}", "cluster": True}, 3, "is not a cluster node"),
    ],
)
@pytest.mark.redis
async def test_unsuitable_stores(tmp_path: Path, store: dict[str, Any], code: int, message: str) -> None:
    with RedisServer("--requirepass" if "wrong" in store["url"] else "--save", "") as server:
        if "wrong" in store["url"]:
            with server.client() as client:
                client.config_set("requirepass", "right")
        store = {**store, "url": store["url"].format(port=server.port)}
        app = write(tmp_path, store="redis", store_options=store)
        async with chat("run", app, "--app-dir", tmp_path) as process:
            assert await process.wait() == code
            assert process.errors.count("\n") == 1 and message in process.errors, process.errors
        options = ["--url", store["url"], *(["--cluster"] if store.get("cluster") else [])]
        looked = await asyncio.to_thread(invoke, "rooms", *options)
        assert looked.exit_code == code and message in looked.stderr
        assert looked.stderr.count("\n") == 1


@pytest.mark.redis
async def test_demo_over_redis(redis_site: Site) -> None:
    async with chat("demo", "--port", "0", *redis_site.options) as process:
        await process.wait_for("http://127.0.0.1:")
        rooms = (await redis_site.json("rooms"))["rooms"]
        assert [room["name"] for room in rooms] == ["default", "random"]
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0


@pytest.mark.covers("cli:demo")
async def test_demo() -> None:
    async with chat("demo", "--port", "0") as process:
        line = await process.wait_for("http://127.0.0.1:")
        port = port_in(line)
        async with chat("demo", "--port", port) as second:
            assert await second.wait() == 5
            assert second.errors.startswith("chat-service: cannot start: ")
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    assert NAMES_ONLY not in process.errors


NAMES_ONLY = "logins are by name only, and others than this machine can reach "


#: How users log in, the host in the file, options of the command line, and whether there is a warning.
NAMED: list[tuple[str, str | None, list[str], bool]] = [
    ("name", None, [], False),
    ("name", "0.0.0.0", [], True),
    ("name", "0.0.0.0", ["--host", "127.0.0.1"], False),
    ("name", "localhost", ["--host", "0.0.0.0"], True),
    ("jwt", "0.0.0.0", [], False),
]

#: Runs commands one after the other, in one process, and says after each that it has ended.
SEVERAL = """
import json, sys
from chat_service.cli import app

for number, args in enumerate(json.loads(sys.argv[1])):
    try:
        app(args)
    except SystemExit as end:
        for stream in (sys.stdout, sys.stderr):
            print(f"command {number} ended with {end.code}", file=stream, flush=True)
"""


async def test_serve_warns_about_unverified_names(tmp_path: Path) -> None:
    calls = []
    for number, (login, host, options, _) in enumerate(NAMED):
        config = tmp_path / f"chat{number}.toml"
        secret = 'secret = "a secret of thirty-two bytes or more"\n' if login == "jwt" else ""
        listen = f'host = "{host}"\n' if host else ""
        config.write_text(f'[service]\nport = 0\n{listen}[login]\ntype = "{login}"\n{secret}')
        calls.append(["serve", "--config", str(config), *options])
    async with run(sys.executable, "-c", SEVERAL, json.dumps(calls)) as process:
        for number, row in enumerate(NAMED):
            _, host, options, _ = row
            await wait_until(
                lambda wanted=number + 1: process.output.count("listens at") == wanted,
                f"the service of {row}",
            )
            process.send_signal(signal.SIGINT)
            await process.wait_for(f"command {number} ended with 0")
            *_, output, _ = re.split("command . ended with .\n", process.output)
            assert ("(every address)" in output) is ("0.0.0.0" in (options or [str(host)])), row
            assert "store: memory; Ctrl+C stops it" in output, row
        assert await process.wait() == 0
    told = re.split("command . ended with .\n", process.errors)
    assert [NAMES_ONLY in errors for errors in told] == [*(warns for *_, warns in NAMED), False]


async def test_demo_warns_about_unverified_names() -> None:
    async with chat("demo", "--port", "0", "--host", "0.0.0.0") as process:
        assert "http://localhost:" in await process.wait_for("the web chat is at")
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0
    assert NAMES_ONLY in process.errors
