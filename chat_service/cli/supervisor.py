"""The common part of ``run`` and ``serve``: a single process, or a parent that keeps workers running.

The parent holds the listening sockets and passes them on. So a port in use gives one clear error, and a
client that connects while a worker is being replaced waits a moment instead of being refused. A busy worker
accepts fewer connections, unlike with SO_REUSEPORT, which distributes them by a hash.
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Final

from chat_service.cli import output
from chat_service.cli.failures import CliError, ExitCode
from chat_service.cli.process import READY, VARIABLE, WorkerRole, listening_sockets, run_service
from chat_service.service import ChatService
from chat_service.service.runner import NAMES_ONLY, is_loopback
from chat_service.stores.memory import MemoryStore
from chat_service.transports.socketio import SocketIOTransport
from chat_service.transports.socketio.socketio_options import SocketIOOptions
from chat_service.transports.streams import LineTransport, WebSocketTransport

#: Initial and maximum delay in seconds before a dead worker is restarted.
BACKOFF_FIRST, BACKOFF_LONGEST = 0.5, 30.0
#: A worker that ran for this number of seconds was healthy, so its delay starts over.
WELL_AFTER: Final = 60.0


class Worker:
    """A process, with the channel on which it reports that it is ready."""

    def __init__(self, process: asyncio.subprocess.Process, channel: socket.socket) -> None:
        self.process = process
        self._channel = channel
        self.started = asyncio.get_running_loop().time()

    async def is_ready(self) -> bool:
        """Wait for the report. Returns False if the process exited without it."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.sock_recv(self._channel, 1) == READY
        except ConnectionError:
            return False

    async def ended(self) -> int:
        """Wait for the exit. Returns the exit code; after a signal, the one that a shell would return."""
        code = await self.process.wait()
        self._channel.close()
        return code if code >= 0 else 128 - code

    def send(self, number: signal.Signals) -> None:
        """Send a signal. Ignored if the process is gone."""
        if self.process.returncode is None:
            self.process.send_signal(number)


async def start_worker(
    command: Sequence[str], *, number: int = 0, listening: Sequence[socket.socket] = ()
) -> Worker:
    """Start a process that is a worker of this one, and exits when this one is gone."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    descriptors = tuple(each.fileno() for each in listening)
    role = WorkerRole(number=number, channel=theirs.fileno(), listening=descriptors)
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            env={**os.environ, VARIABLE: role.as_text()},
            pass_fds=(role.channel, *descriptors),
            # The parent gets Ctrl+C from the terminal and passes it on.
            start_new_session=True,
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    return Worker(process, ours)


class Supervisor:
    """Keeps ``len(shares)`` workers running.

    ``command``: the program of a worker. ``shares``: the listening sockets of each worker.
    ``on_ready`` is called when clients can connect to all of them.
    """

    def __init__(
        self,
        command: Sequence[str],
        shares: Sequence[Sequence[socket.socket]],
        on_ready: Callable[[], None],
    ) -> None:
        self._command = command
        self._shares = shares
        self._on_ready = on_ready
        self._workers: dict[int, Worker] = {}
        self._stopping: signal.Signals | None = None
        self._stop = asyncio.Event()
        self._replacing: asyncio.Task[None] | None = None
        #: Set when the worker with this number has to be checked again, because it was replaced.
        self._exit_code = 0

    async def run(self) -> int:
        """Run until a signal. Returns the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal, number)
        loop.add_signal_handler(signal.SIGHUP, self._on_hangup)
        if not await self._start_all():
            return self._exit_code
        keepers = [asyncio.create_task(self._keep(number)) for number in range(len(self._shares))]
        codes = await asyncio.gather(*keepers)
        if self._replacing is not None:
            await self._replacing
        return max(codes)

    # Signals

    def _on_signal(self, number: signal.Signals) -> None:
        if self._stopping is not None:
            # The second signal: stop immediately.
            number = signal.SIGKILL
        self._stopping = self._stopping or number
        self._stop.set()
        for worker in self._workers.values():
            worker.send(number)

    def _on_hangup(self) -> None:
        if self._stopping is None and (self._replacing is None or self._replacing.done()):
            self._replacing = asyncio.create_task(self._replace_all())

    # Workers

    async def _spawn(self, number: int) -> Worker:
        worker = await start_worker(self._command, number=number, listening=self._shares[number])
        if self._stopping is not None:
            worker.send(self._stopping)
        return worker

    async def _start_all(self) -> bool:
        """Start the first worker and, when it is ready, the others: so an error is reported only once."""
        for number in range(len(self._shares)):
            worker = self._workers[number] = await self._spawn(number)
            if number == 0 and not await worker.is_ready():
                self._exit_code = await worker.ended()
                return False
        for worker in list(self._workers.values())[1:]:
            if not await worker.is_ready():
                self._stopping = self._stopping or signal.SIGTERM
                codes = []
                for each in self._workers.values():
                    each.send(signal.SIGTERM)
                    codes.append(await each.ended())
                self._exit_code = max(codes)
                return False
        self._on_ready()
        return True

    async def _keep(self, number: int) -> int:
        """Keep a worker running until the end. Returns the last exit code."""
        delay = BACKOFF_FIRST
        loop = asyncio.get_running_loop()
        while True:
            worker = self._workers[number]
            code = await worker.ended()
            if self._stopping is not None:
                return code
            if self._workers[number] is not worker:
                # Another process has taken its place.
                continue
            if loop.time() - worker.started > WELL_AFTER:
                delay = BACKOFF_FIRST
            _say(
                f"worker {number} (process {worker.process.pid}) exited with code {code}; "
                f"restart in {delay:g} s"
            )
            if await self._stopped_within(delay):
                return code
            delay = min(2 * delay, BACKOFF_LONGEST)
            try:
                self._workers[number] = await self._spawn(number)
            except OSError as error:
                # The machine has too few processes, memory or descriptors. The other workers continue.
                _say(f"worker {number} cannot be started: {error}")

    async def _stopped_within(self, delay: float) -> bool:
        try:
            async with asyncio.timeout(delay):
                await self._stop.wait()
        except TimeoutError:
            return False
        return True

    async def _replace_all(self) -> None:
        """Replace the workers one at a time. Each old one drains when its new one is ready."""
        for number in range(len(self._shares)):
            try:
                fresh = await self._spawn(number)
            except OSError as error:
                _say(f"worker {number} cannot be replaced: {error}; the old ones stay")
                return
            if not await fresh.is_ready():
                _say(
                    f"worker {number}: the new one exited with code {await fresh.ended()}; the old ones stay"
                )
                return
            if self._stopping is not None:
                fresh.send(self._stopping)
                await fresh.ended()
                return
            former, self._workers[number] = self._workers[number], fresh
            former.send(signal.SIGTERM)
            await former.process.wait()
            _say(f"worker {number} is replaced (process {fresh.process.pid})")


def _say(line: str) -> None:
    output.complain(f"chat-service: {line}")


def supervise(
    command: Sequence[str], shares: Sequence[Sequence[socket.socket]], on_ready: Callable[[], None]
) -> int:
    """Run workers until a signal. Returns the exit code."""

    async def run() -> int:
        return await Supervisor(command, shares, on_ready).run()

    return asyncio.run(run())


# One process or several

MEMORY_WORKERS = (
    "workers need a shared store, and a memory store lives in a single process: use Redis, or one worker"
)
POLLING_WORKERS = (
    "workers that share a port support only WebSocket, because the polls of a long-polling client could "
    'reach any of them: set the transport option transports to ["websocket"], or give each worker its own '
    "port with --port-per-worker, behind a proxy with sticky sessions"
)

LINE_WORKERS = "workers cannot share the port of the line transport: set its option reuse_port to true"
WEBSOCKET_WORKERS = (
    "workers cannot share the port of the WebSocket transport: leave its option port out, so that it uses "
    "that of Socket.IO"
)


def launch(
    service: ChatService,
    arguments: Sequence[str],
    *,
    workers: int,
    port_per_worker: bool,
    host: str | None,
    port: int | None,
    log_level: str,
    log_format: str,
) -> int:
    """Run a service in this process, or in several that run this program with ``arguments``. Returns the
    exit code.
    """
    if workers == 1 or WorkerRole.from_environment() is not None:
        run_service(service, host=host, port=port, log_level=log_level, log_format=log_format)
        return ExitCode.OK
    check_workers(service, port_per_worker=port_per_worker)
    at = service.options.host if host is None else host
    first = service.options.port if port is None else port
    if port_per_worker:
        shares = [listening_sockets(at, first + number if first else 0) for number in range(workers)]
    else:
        shares = [listening_sockets(at, first)] * workers
    addresses = sorted({each.getsockname()[:2] for share in shares for each in share}, key=lambda at: at[1])
    return supervise(own_command(*arguments), shares, lambda: service.announce(addresses, workers=workers))


def warn_of_strangers(host: str | None) -> None:
    """Warn if users choose their own names and other machines can reach the service."""
    if WorkerRole.from_environment() is None and not is_loopback(host):
        output.warn(NAMES_ONLY.format(where=host or "every address"))


def check_workers(service: ChatService, *, port_per_worker: bool) -> None:
    """Raise ``CliError`` if a service cannot run in several processes."""
    store, transport = service.options.store, service.options.transport
    if store == "memory" or isinstance(store, MemoryStore):
        raise CliError(ExitCode.CONFIGURATION, MEMORY_WORKERS)
    members = list(transport) if isinstance(transport, list | tuple) else [transport]
    ways: Sequence[str] | None = None
    for member in members:
        if member == "socket.io":
            ways = SocketIOOptions.from_mapping(service.options.transport_options).transports
        elif isinstance(member, SocketIOTransport):
            ways = member.options.transports
        elif isinstance(member, LineTransport) and not member.options.reuse_port and member.options.port:
            raise CliError(ExitCode.CONFIGURATION, LINE_WORKERS)
        elif isinstance(member, WebSocketTransport) and member.options.port:
            raise CliError(ExitCode.CONFIGURATION, WEBSOCKET_WORKERS)
    if ways is None:
        raise CliError(ExitCode.CONFIGURATION, f"workers need the Socket.IO transport, not {transport!r}")
    if list(ways) != ["websocket"] and not port_per_worker:
        raise CliError(ExitCode.CONFIGURATION, POLLING_WORKERS)


def own_command(*arguments: str) -> list[str]:
    """The command that runs this program with other arguments."""
    return [sys.executable, "-m", "chat_service", *arguments]
