"""The Lua scripts and their answers. A script is a file in ``lua/``, and includes code from ``lua/lib/``.

``-- flags: allow-oom`` marks a script that frees memory or needs none, so it may run when Redis is out of
memory.

Scripts that publish sign with keys derived from ``bus_secret``. These are not arguments, because
``SLOWLOG`` shows those, but constants at the end of the text, of which it shows only the first 128 bytes.
"""

import hashlib
import re
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from chat_service.contracts.records import Ban
from chat_service.errors import ChatServiceError, StoreError
from chat_service.protocol.names import DIRECT

_INCLUDE = re.compile(r"^-- include: (\w+)\n", re.MULTILINE)
_FLAGS = re.compile(r"^-- flags: ([\w,-]+)\n", re.MULTILINE)
_SIGNS = "-- include: bus\n"

#: Inner and outer key of the HMAC with which scripts sign, and whether they stamp what they sign (not empty).
#: All are empty without a secret.
SigningKeys = tuple[bytes, bytes, bytes]
UNSIGNED: SigningKeys = (b"", b"", b"")


@dataclass(frozen=True, slots=True)
class Script:
    """The text of a script as sent to Redis, which may contain the signing keys, and its SHA1 digest."""

    name: str
    text: str = field(repr=False)
    digest: str


@cache
def load(name: str, signing: SigningKeys = UNSIGNED) -> Script:
    """Read the script ``lua/<name>.lua``. A line ``-- include: x`` inserts ``lua/lib/x.lua``.

    ``signing``: the keys with which the script signs if it publishes.
    """
    folder = files(__package__) / "lua"
    text = (folder / f"{name}.lua").read_text("utf-8")
    signs = _SIGNS in text
    if signing != UNSIGNED and not signs:
        return load(name)
    text = _INCLUDE.sub(lambda match: (folder / "lib" / f"{match[1]}.lua").read_text("utf-8"), text)
    if signs:
        keys = ", ".join(map(_constant, signing))
        text = f"local function run(inner_key, outer_key, has_stamps)\n{text}end\nreturn run({keys})\n"
    flags = _FLAGS.search(text)
    if flags is not None:
        text = f"#!lua flags={flags[1]}\n{text}"
    return Script(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


def _constant(key: bytes) -> str:
    """A key as a text in Lua."""
    return "'" + "".join(f"\\{byte:03}" for byte in key) + "'"


def load_all(signing: SigningKeys) -> None:
    """Read all scripts now, since the process may run out of file descriptors later."""
    for file in (files(__package__) / "lua").iterdir():
        if file.name.endswith(".lua"):
            name = file.name.removesuffix(".lua")
            load(name)
            load(name, signing)


def checked(answer: Any, **arguments: Any) -> list[Any]:
    """Return the values after the leading 0. Raises ``ChatServiceError`` for an error code.

    ``arguments``: the error argument for each code that has one. Others have the values after the code.
    """
    if not isinstance(answer, list) or not answer:
        raise StoreError(f"a script answered {answer!r}")
    status, *values = answer
    if isinstance(status, bytes):
        code = status.decode()
        if code == "banned":
            raise parse_ban(values[0]).error()
        raise (
            ChatServiceError(code, arguments[code]) if code in arguments else ChatServiceError(code, *values)
        )
    return values


def format_ban(ban: Ban) -> str:
    """A ban as it is stored."""
    end = "" if ban.until is None else str(ban.until)
    return end if ban.reason is None else f"{end}:{ban.reason}"


def parse_ban(stored: bytes) -> Ban:
    """A ban from Redis. Raises ``StoreError``."""
    try:
        end, colon, reason = stored.decode().partition(":")
        return Ban(until=int(end) if end else None, reason=reason if colon else None)
    except (ValueError, AttributeError):
        raise StoreError(f"corrupt ban {stored!r}") from None


def flag(value: bool) -> str:
    """A boolean in the form that scripts expect."""
    return "1" if value else "0"


def ttl_ms(seconds: float | None) -> int | str:
    """A time in ms, at least 1, in the form that scripts expect; an empty text for no limit."""
    return "" if seconds is None else max(1, round(seconds * 1000))


def texts(values: list[bytes]) -> list[str]:
    """Decode names from Redis. Raises ``StoreError`` for bytes that are not valid text."""
    try:
        return [value.decode() for value in values]
    except (UnicodeDecodeError, AttributeError) as error:
        raise StoreError(f"corrupt names in Redis: {error}") from None


def pairs(values: list[bytes]) -> list[tuple[bytes, bytes]]:
    """Pair up a flat list of fields and values."""
    return list(zip(values[::2], values[1::2], strict=True))


def split_entry(entry: str) -> tuple[str, str]:
    """The socket and the room of an entry in a user's index. Only names of conversations have colons."""
    socket_id, *room = entry.rsplit(":", 3)
    if len(room) == 3 and room[0] + ":" == DIRECT:
        return socket_id, ":".join(room)
    socket_id, _, name = entry.rpartition(":")
    return socket_id, name
