"""What deploy/compose.yaml describes, without containers: Redis, two instances, nginx, as processes."""

import asyncio
import os
import shutil
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import jwt

from tests.e2e.processes import Process, port_in, run
from tests.operations.pages import get_json
from tests.support.patience import PATIENCE
from tests.support.redis_servers import RedisServer

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
#: Long enough for its algorithm.
SECRET = "the key that tokens are signed with in tests"


def token(user: str) -> str:
    """A token for a user, as the application's login would make it."""
    return jwt.encode({"sub": user, "exp": time.time() + 3600}, SECRET, algorithm="HS256")


def program(name: str) -> str:
    """The path of a program, also where the PATH of ordinary users does not lead."""
    found = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    assert found is not None, f"{name} is missing: make test installs it"
    return found


def free_port(count: int = 1) -> int:
    """The first of so many TCP ports that nobody listens on, below those of outgoing connections."""
    while True:
        port = 20000 + int.from_bytes(os.urandom(2)) % 10000
        with ExitStack() as probes:
            try:
                for number in range(count):
                    probe = probes.enter_context(socket.socket())
                    probe.bind(("127.0.0.1", port + number))
            except OSError:
                continue
            return port


@dataclass
class Instance:
    """One running instance of deploy/chat.toml."""

    process: Process
    port: int
    operations_port: int


@asynccontextmanager
async def instance(folder: Path, redis: RedisServer, **replaced: str) -> AsyncIterator[Instance]:
    """Run deploy/chat.toml on free ports of the loopback. ``replaced``: other values of its keys."""
    text = (DEPLOY / "chat.toml").read_text()
    values = {"port": "0", "operations_port": "0", "operations_host": '"127.0.0.1"', **replaced}
    lines = []
    for line in text.splitlines():
        key = line.partition(" = ")[0]
        lines.append(f"{key} = {values.pop(key)}" if key in values else line)
    assert not values, f"chat.toml has no {values}"
    config = folder / f"chat-{len(list(folder.glob('chat-*.toml')))}.toml"
    config.write_text("\n".join(lines))
    env = {"CHAT_STORE_URL": redis.url, "CHAT_LOGIN_SECRET": SECRET}
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "chat_service",
        "serve",
        "--config",
        config,
        "--host",
        "127.0.0.1",
    ]
    async with run(*command, env=env) as process:
        port = port_in(await process.wait_for("listens at"))
        yield Instance(process, port, port_in(await process.wait_for("metrics and health")))


@asynccontextmanager
async def nginx(folder: Path, first: Instance, second: Instance) -> AsyncIterator[int]:
    """Run deploy/nginx/nginx.conf with nothing changed but addresses and the place of its files."""
    port = free_port()
    text = (DEPLOY / "nginx" / "nginx.conf").read_text()
    replacements = {
        "chat-1:8000": f"127.0.0.1:{first.port}",
        "chat-2:8000": f"127.0.0.1:{second.port}",
        "listen 8080;": f"listen 127.0.0.1:{port};",
        "/tmp/": f"{folder}/",
    }
    for former, fresh in replacements.items():
        assert former in text
        text = text.replace(former, fresh)
    config = folder / "nginx.conf"
    config.write_text(text)
    async with run(program("nginx"), "-c", config, "-p", folder, "-g", "daemon off;") as process:
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    try:
                        reader, writer = await asyncio.open_connection("127.0.0.1", port)
                        break
                    except OSError:
                        await asyncio.sleep(0.02)
                # It listens before it has workers. This is not HTTP: a worker itself answers.
                writer.write(b"ready?\r\n\r\n")
                assert b" 400 " in await reader.readline()
            writer.close()
            yield port
        finally:
            # Its workers end with it only when it can tell them.
            process.send_signal(15)
            await process.wait()


@dataclass
class Site:
    """All of it."""

    port: int
    instances: tuple[Instance, Instance]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def site(folder: Path, **replaced: str) -> AsyncIterator[Site]:
    """Run Redis, two instances and nginx."""
    async with AsyncExitStack() as stack:
        redis = stack.enter_context(RedisServer())
        first, second = [await stack.enter_async_context(instance(folder, redis, **replaced)) for _ in "12"]
        port = await stack.enter_async_context(nginx(folder, first, second))
        for each in (first, second):
            assert (await get_json(each.operations_port, "/readyz"))[0] == 200
        yield Site(port, (first, second))
