"""One process of a service: on its own, or a worker of a supervisor."""

import asyncio
import os
import signal
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from chat_service.cli.failures import CliError, ExitCode, describe
from chat_service.errors import ConfigurationError, StoreError
from chat_service.operations import logging
from chat_service.service import ChatService

#: The variable in which a supervisor passes a worker its number, its channel and its sockets.
VARIABLE = "CHAT_SERVICE_WORKER"
#: Written to the worker's channel once clients can connect.
READY = b"r"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRole:
    """Settings of a worker. The descriptors are inherited; without ``listening`` it opens its own port."""

    number: int
    channel: int
    listening: tuple[int, ...]

    def as_text(self) -> str:
        """Encode for the variable."""
        return f"{self.number}:{self.channel}:{','.join(map(str, self.listening))}"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "WorkerRole | None":
        """Decode from the variable. None if the process is not a worker."""
        text = environment.get(VARIABLE)
        if text is None:
            return None
        number, channel, listening = text.split(":")
        return cls(
            number=int(number),
            channel=int(channel),
            listening=tuple(int(item) for item in listening.split(",") if item),
        )


def run_service(
    service: ChatService,
    *,
    host: str | None = None,
    port: int | None = None,
    log_level: str = "info",
    log_format: str = "text",
) -> None:
    """Run until a signal. ``host``, ``port``: override the service's own. Raises errors of the service."""
    logging.configure("json" if log_format == "json" else "text", log_level, service=service)
    role = WorkerRole.from_environment()
    if role is not None:
        _become_worker(service, role)
    is_worker = role is not None and bool(role.listening)
    if not is_worker and (host is not None or port is not None):
        service.listen_at(host=host, port=port)
    try:
        # The parent prints the address of its workers.
        service.run(announce=not is_worker)
    except SystemExit as end:
        # The error was already reported; the code has the details.
        if isinstance(end.__cause__, Exception):
            raise SystemExit(_exit_code(end.__cause__)) from None
        raise


def _exit_code(error: Exception) -> int:
    if isinstance(error, ConfigurationError | StoreError | OSError):
        return describe(error)[0]
    return ExitCode.FAILED


def _become_worker(service: ChatService, role: WorkerRole) -> None:
    # The variable must not reach programs that the application starts.
    del os.environ[VARIABLE]
    if role.listening:
        service.listen_at(sockets=[socket.socket(fileno=descriptor) for descriptor in role.listening])
    # Each worker shares its operations port with the draining worker that it replaces.
    port = service.options.operations_port
    service.operations.listen_at(port=port + role.number if port else port, shares_port=True)
    channel = socket.socket(fileno=role.channel)
    channel.setblocking(False)

    def on_ready() -> None:
        channel.send(READY)
        # The other end is closed when the supervisor is gone, and nothing else would end this process.
        asyncio.get_running_loop().add_reader(channel, on_orphaned)

    def on_orphaned() -> None:
        asyncio.get_running_loop().remove_reader(channel)
        os.kill(os.getpid(), signal.SIGTERM)

    service.on("ready", on_ready)


def listening_sockets(host: str | None, port: int) -> list[socket.socket]:
    """Bound, listening sockets for all addresses of a host, or all interfaces if it is None.

    ``port`` 0 picks a free one, the same for all. Raises ``CliError`` if the port is in use.
    """
    try:
        if host is None:
            if socket.has_dualstack_ipv6():
                return [socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)]
            return [socket.create_server(("", port))]
        made: list[socket.socket] = []
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, address in dict.fromkeys((family, address) for family, _, _, _, address in infos):
            made.append(socket.create_server((address[0], port), family=family))
            port = made[0].getsockname()[1]
        return made
    except OSError as error:
        where = f"port {port}" if host is None else f"{host} port {port}"
        # The library adds the address, which our text already has; errors of host names have numbers below
        # 0.
        number = error.errno or 0
        why = os.strerror(number) if number > 0 else error.strerror or error
        raise CliError(ExitCode.ADDRESS, f"cannot listen on {where}: {why}") from None
