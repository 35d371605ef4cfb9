"""Connecting to a Redis node and logging in: connections of redis-py with a greeting and messages of our own.

Whatever goes wrong is one of two errors of redis-py: ``AuthenticationError`` when Redis refuses the login,
else ``ConnectionError``, whose text says in one line what happened and what may help.
"""

import asyncio
import socket
import ssl
from typing import Any

import hiredis
from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import AuthenticationError
from redis.exceptions import ConnectionError as RedisConnectionError

Command = tuple[str | int, ...]

#: Answers to users who are not logged in.
NO_LOGIN = frozenset({"NOAUTH", "WRONGPASS", "DENIED"})
#: Says who connects, for CLIENT LIST; and shows that a Redis is there.
INTRODUCTION: Command = ("CLIENT", "SETINFO", "LIB-NAME", "chat_service")
#: What the record of a TLS alert begins with.
_TLS_ALERT = b"\x15\x03"


class _Refused(Exception):
    """Redis answered a command of the greeting with an error."""


class _Garbled(Exception):
    """What came is not the Redis protocol."""


def greeting(username: str | None, password: str | None, db: int, name: str | None) -> list[Command]:
    """The commands that begin a connection."""
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
    """Raises ``AuthenticationError`` or ``_Refused`` for an answer that makes the connection useless."""
    if not isinstance(answer, Exception):
        return
    text = str(answer)
    if text.startswith("ERR max number of clients"):
        raise _Refused(text)
    if command[0] == "AUTH" or text.partition(" ")[0] in NO_LOGIN:
        raise AuthenticationError(text)
    # That one may be refused for the moment, for lack of rights, or by an older Redis: it has answered.
    if command is not INTRODUCTION:
        raise _Refused(f"{' '.join(map(str, command))}: {text}")


def explain(error: BaseException, *, tls: bool, timeout: float) -> str:
    """What went wrong, and what may help."""
    other_scheme = "redis:// (valkey://)" if tls else "rediss:// (valkeys://)"
    begin = f"begin the url with {other_scheme}"
    if isinstance(error, _Refused):
        return str(error)
    if isinstance(error, _Garbled):
        return str(error) + (f": for TLS, {begin}" if "TLS" in str(error) else "")
    if isinstance(error, TimeoutError):
        return f"no answer in {timeout:g} s" + (f"; if it does not speak TLS, {begin}" if tls else "")
    if isinstance(error, ssl.SSLCertVerificationError):
        trusted = "the store option tls names what to trust: ssl_ca_certs"
        return f"its certificate is not trusted ({error.verify_message}); {trusted}"
    if isinstance(error, ssl.SSLError):
        reason = str(error.reason or error)
        if "CERTIFICATE_REQUIRED" in reason or "HANDSHAKE_FAILURE" in reason:
            return (
                f"it wants a certificate: set ssl_certfile and ssl_keyfile in the store option tls ({reason})"
            )
        if "VERSION_NUMBER" in reason or "UNKNOWN_PROTOCOL" in reason or "PACKET" in reason:
            return f"it does not speak TLS ({reason}); {begin}"
        return f"TLS failed ({reason})"
    if isinstance(error, socket.gaierror):
        return f"its name cannot be resolved ({error.strerror})"
    if isinstance(error, ConnectionResetError | BrokenPipeError | EOFError):
        side = "does not speak TLS" if tls else "wants TLS"
        return f"it hung up at once, as a proxy without a Redis behind it does; if it {side}, {begin}"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[:1].lower() + error.strerror[1:]
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


class _Dialing:
    """What the classes of connections have in common: goes before one of redis-py."""

    # Attributes of the classes of redis-py.
    username: Any
    password: Any
    db: Any
    client_name: Any
    socket_connect_timeout: Any
    _reader: asyncio.StreamReader | None
    _writer: asyncio.StreamWriter | None
    #: Whether it speaks TLS.
    tls = False

    async def connect(self) -> None:
        """Connect and log in, within ``socket_connect_timeout``."""
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
        # The transport alone: what the other side said before it hung up can still be read then.
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
    """To a host and a port."""


class TlsConnection(_Dialing, SSLConnection):
    """To a host and a port by TLS."""

    tls = True


class UnixConnection(_Dialing, UnixDomainSocketConnection):
    """To a Unix socket."""
