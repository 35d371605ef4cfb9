"""Connecting and logging in to a Redis node: redis-py connections with our own greeting and error texts.

Every failure is one of two redis-py errors: ``AuthenticationError`` if Redis refuses the login, else
``ConnectionError``. The text says in one line what happened and how to fix it.
"""

import asyncio
import socket
import ssl
from inspect import signature
from typing import Any

import hiredis
from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.exceptions import AuthenticationError
from redis.exceptions import ConnectionError as RedisConnectionError

Command = tuple[str | int, ...]

#: Error replies for connections that are not logged in.
NO_LOGIN = frozenset({"NOAUTH", "WRONGPASS", "DENIED"})
#: Identifies the connection in CLIENT LIST, and proves that the server is a Redis.
INTRODUCTION: Command = ("CLIENT", "SETINFO", "LIB-NAME", "chat_service")
#: Keyword of connections: newer redis-py otherwise reads its own version from the installed files for each
#: connection, which blocks for milliseconds. The greeting here does not tell it.
NO_DRIVER_INFO: dict[str, Any] = (
    {"driver_info": None} if "driver_info" in signature(AbstractConnection.__init__).parameters else {}
)
#: First bytes of a TLS alert record.
_TLS_ALERT = b"\x15\x03"


class _Refused(Exception):
    """Redis replied to the greeting with an error."""


class _Garbled(Exception):
    """The reply is not in the Redis protocol."""


def greeting(username: str | None, password: str | None, db: int, name: str | None) -> list[Command]:
    """The first commands on a connection."""
    commands: list[Command] = []
    if username:
        commands.append(("AUTH", username, password or ""))
    elif password:
        commands.append(("AUTH", password))
    if name:
        commands.append(("CLIENT", "SETNAME", name))
    if db:
        commands.append(("SELECT", db))
    return [*commands, INTRODUCTION]


def judge(command: Command, answer: Any) -> None:
    """Raises ``AuthenticationError`` or ``_Refused`` for a reply that makes the connection unusable."""
    if not isinstance(answer, Exception):
        return
    text = str(answer)
    if text.startswith("ERR max number of clients"):
        raise _Refused(text)
    if command[0] == "AUTH" or text.partition(" ")[0] in NO_LOGIN:
        raise AuthenticationError(text)
    # This one may fail (not ready, missing rights, older Redis); any reply is good enough.
    if command is not INTRODUCTION:
        raise _Refused(f"{' '.join(map(str, command))}: {text}")


WANTED_CERTIFICATE = "set ssl_certfile and ssl_keyfile in the store option tls"


def explain(error: BaseException, *, tls: bool, timeout: float) -> str:
    """Describe an error and how to fix it."""
    other_scheme = "redis:// (valkey://)" if tls else "rediss:// (valkeys://)"
    begin = f"start the url with {other_scheme}"
    if isinstance(error, _Refused):
        return str(error)
    if isinstance(error, _Garbled):
        return str(error) + (f": for TLS, {begin}" if "TLS" in str(error) else "")
    if isinstance(error, TimeoutError):
        return f"no answer in {timeout:g} s" + (f"; if it does not speak TLS, {begin}" if tls else "")
    if isinstance(error, ssl.SSLCertVerificationError):
        trusted = "name a CA file to trust as ssl_ca_certs in the store option tls"
        return f"its certificate is not trusted ({error.verify_message}); {trusted}"
    if isinstance(error, ssl.SSLError):
        reason = str(error.reason or error)
        if "CERTIFICATE_REQUIRED" in reason or "HANDSHAKE_FAILURE" in reason:
            return f"it requires a client certificate: {WANTED_CERTIFICATE} ({reason})"
        if "VERSION_NUMBER" in reason or "UNKNOWN_PROTOCOL" in reason or "PACKET" in reason:
            return f"it does not speak TLS ({reason}); {begin}"
        return f"TLS failed ({reason})"
    if isinstance(error, socket.gaierror):
        return f"its name cannot be resolved ({error.strerror})"
    if isinstance(error, ConnectionResetError | BrokenPipeError | EOFError):
        side = "does not speak TLS" if tls else "requires TLS"
        text = f"it hung up immediately, like a proxy whose Redis is down; if it {side}, {begin}"
        # With TLS 1.3 the server's alert may be lost with the connection.
        return f"{text}; if it requires a client certificate, {WANTED_CERTIFICATE}" if tls else text
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[:1].lower() + error.strerror[1:]
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


class _Dialing:
    """Mixin for redis-py connection classes; must come first in the bases."""

    # Attributes of the redis-py classes.
    username: Any
    password: Any
    db: Any
    client_name: Any
    socket_connect_timeout: Any
    _reader: asyncio.StreamReader | None
    _writer: asyncio.StreamWriter | None
    #: Whether the connection uses TLS.
    tls = False

    async def connect(self) -> None:
        """Connect and log in within ``socket_connect_timeout``."""
        timeout: float = self.socket_connect_timeout
        try:
            async with asyncio.timeout(timeout):
                await self._connect()  # type: ignore[attr-defined]
                await self._greet()
        except BaseException as error:
            self._hang_up()
            if isinstance(error, AuthenticationError) or not isinstance(error, Exception):
                raise
            raise RedisConnectionError(explain(error, tls=self.tls, timeout=timeout)) from error

    def _hang_up(self) -> None:
        writer, self._reader, self._writer = self._writer, None, None
        if writer is not None:
            writer.transport.abort()

    async def _greet(self) -> None:
        reader, writer = self._reader, self._writer
        if reader is None or writer is None:
            raise EOFError
        commands = greeting(self.username, self.password, self.db, self.client_name)
        # Write to the transport directly, so that a last reply can still be read if the server hangs up.
        writer.transport.write(b"".join(map(hiredis.pack_command, commands)))  # type: ignore[arg-type]
        parser = hiredis.Reader()
        for command in commands:
            judge(command, await _answer(reader, parser))


async def _answer(reader: asyncio.StreamReader, parser: Any) -> Any:
    try:
        while (answer := parser.gets()) is False:
            data = await reader.read(1 << 16)
            if not data:
                raise EOFError
            if data.startswith(_TLS_ALERT):
                raise _Garbled("it answered with TLS")
            first = data
            parser.feed(data)
    except hiredis.ProtocolError:
        shown = first[:40].decode("ascii", "replace").splitlines()[0]
        raise _Garbled(f"it does not speak the Redis protocol, it said {shown!r}") from None
    return answer


class TcpConnection(_Dialing, Connection):
    """A TCP connection."""


class TlsConnection(_Dialing, SSLConnection):
    """A TCP connection with TLS."""

    tls = True


class UnixConnection(_Dialing, UnixDomainSocketConnection):
    """A Unix socket connection."""
