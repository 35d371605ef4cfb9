"""The compared servers: how to start them, and their titles."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field

from benchmarks.builds import PEERS, program
from benchmarks.framing import CENTRIFUGE, SOCKETIO_2, SOCKETIO_4, Dialect
from benchmarks.processes import Process, Redis, cores, free_port, python


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A kind of server on a kind of store."""

    key: str
    title: str
    #: In ``peers``: a script, or the folder of a program.
    script: str
    dialect: Dialect = SOCKETIO_4
    redis: bool = False
    #: Whether it has a message history.
    history: bool = False
    #: Whether messages may have idempotency keys, and joins cursors.
    idempotent: bool = False
    #: Whether it disconnects clients that do not read.
    stops_slow_readers: bool = False
    #: The key of the server that the targets refer to.
    original: str | None = None
    #: A profiler for the server process, called with its pid during measurements.
    watch: Callable[[int], AbstractContextManager[None]] | None = None
    #: The program under which the server process runs, with its arguments.
    wrapper: tuple[str, ...] = ()
    #: The file to which the server process writes a profile, see peers/service.py.
    profile: str | None = None


SERVICE = Server(
    key="service",
    title="chat_service, memory",
    script="service.py",
    history=True,
    idempotent=True,
    stops_slow_readers=True,
    original="npm",
)
SERVICE_REDIS = Server(
    key="service-redis",
    title="chat_service, Redis",
    script="service.py",
    redis=True,
    history=True,
    idempotent=True,
    stops_slow_readers=True,
    original="npm-redis",
)
NPM = Server(
    key="npm",
    title="npm chat-service, memory",
    script="npm_chat_service.js",
    dialect=SOCKETIO_2,
    history=True,
)
NPM_REDIS = Server(
    key="npm-redis",
    title="npm chat-service, Redis",
    script="npm_chat_service.js",
    dialect=SOCKETIO_2,
    redis=True,
    history=True,
)
BARE_NODE = Server(key="socket.io", title="bare socket.io 4", script="bare_socketio.js")
PLAIN_PYTHON = Server(key="python-socketio", title="plain python-socketio", script="plain_socketio.py")
RUST = Server(key="socketioxide", title="socketioxide (Rust)", script="socketioxide")
GO = Server(key="centrifuge", title="centrifuge (Go)", script="centrifuge", dialect=CENTRIFUGE)

#: In the order of a round: ours beside what they are compared with.
ALL = {
    server.key: server
    for server in (SERVICE, NPM, SERVICE_REDIS, NPM_REDIS, BARE_NODE, PLAIN_PYTHON, RUST, GO)
}


def command_of(server: Server) -> list[str]:
    """The command that starts a server. Raises ``MissingError``."""
    if server.script.endswith(".py"):
        return [python(), str(PEERS / server.script)]
    return program(server.script)


@dataclass(slots=True, kw_only=True)
class Running:
    """The processes of a started server and its Redis."""

    server: Server
    ports: list[int] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)
    redis: Redis | None = None


@contextmanager
def running(server: Server, *, rooms: int = 1, instances: int = 1) -> Iterator[Running]:
    """Start a server on the first core, and its own Redis if it needs one on the other."""
    server_core, other_core = cores()
    with ExitStack() as stack:
        found = Running(server=server)
        if server.redis:
            found.redis = stack.enter_context(Redis(other_core))
        for _ in range(instances):
            port = free_port()
            config = {
                "port": port,
                "rooms": rooms,
                "redis": found.redis.url if found.redis else None,
                "profile": server.profile,
            }
            command = [*server.wrapper, *command_of(server), json.dumps(config)]
            found.processes.append(stack.enter_context(Process(command, core=server_core, ready="ready")))
            found.ports.append(port)
        yield found
