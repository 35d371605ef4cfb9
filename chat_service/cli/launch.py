"""What ``run`` and ``serve`` have in common: one process or several."""

import sys
from collections.abc import Sequence
from typing import Any

from chat_service.cli import output
from chat_service.cli.failures import CliError, ExitCode
from chat_service.cli.process import WorkerRole, listening_sockets, run_service
from chat_service.cli.supervisor import supervise
from chat_service.service import ChatService
from chat_service.service.announcement import NAMES_ONLY, announce, is_loopback
from chat_service.stores.memory import MemoryStore
from chat_service.transports.socketio import SocketIOTransport

MEMORY_WORKERS = (
    "workers need a store that they share, and a memory store is in one process: use Redis, or one worker"
)
POLLING_WORKERS = (
    "workers that share a port need WebSocket alone, since the polls of a long-polling client would come to "
    'any of them: set the transport option transports to ["websocket"], or give each worker a port of its '
    "own by --port-per-worker, behind a proxy with sticky sessions"
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
    """Run a service in this process, or ``arguments`` of ours in several. Returns the exit code."""
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

    def on_ready() -> None:
        announce(
            addresses, store=service._context.store, namespace=service.options.namespace, workers=workers
        )

    return supervise(own_command(*arguments), shares, on_ready)


def warn_of_strangers(host: str | None) -> None:
    """Warn that users name themselves, where others than this machine can reach the service."""
    if WorkerRole.from_environment() is None and not is_loopback(host):
        output.warn(NAMES_ONLY.format(where=host or "every address"))


def check_workers(service: ChatService, *, port_per_worker: bool) -> None:
    """Raise ``CliError`` when a service cannot run in several processes."""
    # What the service is made of says more than its options: both may be objects.
    store: Any = service._context.store
    transport: Any = service._context.transport
    if isinstance(store, MemoryStore):
        raise CliError(ExitCode.CONFIGURATION, MEMORY_WORKERS)
    if not isinstance(transport, SocketIOTransport):
        raise CliError(ExitCode.CONFIGURATION, f"workers need the Socket.IO transport, not {transport!r}")
    if list(transport.options.transports) != ["websocket"] and not port_per_worker:
        raise CliError(ExitCode.CONFIGURATION, POLLING_WORKERS)


def own_command(*arguments: str) -> list[str]:
    """This program, with other arguments."""
    return [sys.executable, "-m", "chat_service", *arguments]
