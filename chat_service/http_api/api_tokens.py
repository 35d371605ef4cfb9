"""Tokens of the HTTP API: their scopes, and looking up a given token.

Only digests are kept, so that no token appears in a log, a ``repr`` or a memory dump.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from chat_service.errors import ConfigurationError

#: The scopes of tokens. "admin" includes the others; "read" and "write" are independent.
SCOPES: Final = ("read", "write", "admin")
#: Minimum number of characters of a token, so that it cannot be guessed.
MIN_LENGTH: Final = 32

_LINE = '"name:scopes:token", such as "celery:read,write:…"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token with its name. ``digest``: SHA-256 of its text."""

    name: str
    scopes: frozenset[str]
    digest: bytes = field(repr=False)

    def has(self, scope: str) -> bool:
        """Whether the token has a scope."""
        return scope in self.scopes or "admin" in self.scopes


def digest(text: str) -> bytes:
    """The digest of a token's text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def find_token(tokens: Sequence[Token], given: str) -> Token | None:
    """The token with this text. The time taken depends neither on the token nor on how much of it is
    correct.
    """
    asked = digest(given)
    found = None
    for token in tokens:
        if hmac.compare_digest(token.digest, asked):
            found = token
    return found


def read_tokens(given: Any) -> tuple[Token, ...]:
    """The tokens of the option ``tokens``. Raises ``ConfigurationError``, whose text contains no token."""
    if isinstance(given, str):
        return _of_lines("api_options tokens", given.split())
    if not isinstance(given, Mapping):
        raise ConfigurationError(
            f"api_options tokens: expected a mapping of names or lines {_LINE}, got a {type(given).__name__}"
        )
    return tuple(_of_entry(name, entry) for name, entry in given.items())


def read_tokens_file(path: str) -> tuple[Token, ...]:
    """The tokens in a file. Raises ``ConfigurationError``, whose text contains no token."""
    try:
        text = Path(path).read_text("utf-8")
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigurationError(f"api_options tokens_file {path}: {reason}") from None
    lines = (line.strip() for line in text.splitlines())
    return _of_lines(f"api_options tokens_file {path}", [each for each in lines if each and each[0] != "#"])


def _of_lines(what: str, lines: Sequence[str]) -> tuple[Token, ...]:
    tokens = []
    for number, line in enumerate(lines, 1):
        name, first, rest = line.partition(":")
        scopes, second, text = rest.partition(":")
        if not (first and second):
            raise ConfigurationError(f"{what}: entry {number} is not of the form {_LINE}")
        tokens.append(_token(f"{what}: {name!r}", name, scopes.split(","), text))
    return tuple(tokens)


def _of_entry(name: Any, entry: Any) -> Token:
    what = f"api_options tokens {name!r}"
    if not isinstance(entry, Mapping) or set(entry) != {"token", "scopes"}:
        raise ConfigurationError(f'{what}: expected {{"token": …, "scopes": […]}}')
    scopes = entry["scopes"]
    if isinstance(scopes, str) or not isinstance(scopes, list | tuple | set | frozenset):
        raise ConfigurationError(f"{what}: expected a list of scopes, got {scopes!r}")
    return _token(what, name, list(scopes), entry["token"])


def _token(what: str, name: Any, scopes: Sequence[Any], text: Any) -> Token:
    if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= 64 or ":" in name:
        raise ConfigurationError(f"{what}: a token's name has 1 to 64 printable characters without a colon")
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        got = f"got {unknown[0]!r}" if unknown else "got none"
        raise ConfigurationError(f"{what}: expected scopes of {', '.join(SCOPES)}, {got}")
    if not isinstance(text, str) or len(text) < MIN_LENGTH or not text.isascii() or " " in text:
        raise ConfigurationError(
            f"{what}: a token has {MIN_LENGTH} or more ASCII characters without a space, as "
            "`openssl rand -hex 32` makes it"
        )
    return Token(name=name, scopes=frozenset(scopes), digest=digest(text))
