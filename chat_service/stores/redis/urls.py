"""Parsing Redis URLs in the form of redis-py. Every option in a URL is applied, or refused by name."""

import math
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, NamedTuple
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

DEFAULT_PORT = 6379
#: The schemes and whether they use TLS. Valkey has the same protocol.
SCHEMES = {"redis": False, "rediss": True, "valkey": False, "valkeys": True, "unix": False}


class Address(NamedTuple):
    """The address of a node. With ``port`` 0 the host is the path of a Unix socket."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}" if self.port else self.host


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisUrl:
    """A parsed URL."""

    address: Address
    tls: bool = False
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    #: redis-py options for all connections: client_name, socket_keepalive.
    connection: Mapping[str, Any] = field(default_factory=dict)
    #: redis-py options for TLS: ssl_….
    tls_options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    #: Values in seconds for the store options connect_timeout and command_timeout.
    times: Mapping[str, float] = field(default_factory=dict)


# Parsers of values. Each raises ``ValueError`` saying what was expected.


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    known = {"true": True, "yes": True, "y": True, "t": True, "1": True}
    known |= {"false": False, "no": False, "n": False, "f": False, "0": False}
    if not isinstance(value, str) or value.lower() not in known:
        raise ValueError("True or False")
    return known[value.lower()]


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("a non-empty text")
    return value


def _seconds(value: Any) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = 0.0
    if not (math.isfinite(seconds) and seconds > 0):
        raise ValueError("seconds, more than 0")
    return seconds


def _count(value: Any) -> int:
    if isinstance(value, bool) or not re.fullmatch(r"\d+", str(value), re.ASCII):
        raise ValueError("a whole number, 0 or more")
    return int(value)


def _name(value: Any) -> str:
    if not _text(value).isprintable() or " " in value:
        raise ValueError("a name without spaces")
    return str(value)


def _cert_reqs(value: Any) -> Any:
    if isinstance(value, ssl.VerifyMode) or value in ("none", "optional", "required"):
        return value
    raise ValueError("'none', 'optional' or 'required'")


def _tls_version(value: Any) -> ssl.TLSVersion:
    try:
        return ssl.TLSVersion(int(value))
    except (TypeError, ValueError):
        known = ", ".join(f"{item.value} for {item.name}" for item in ssl.TLSVersion if item.value > 0)
        raise ValueError(f"a number: {known}") from None


def _verify_flags(value: Any) -> list[ssl.VerifyFlags]:
    names = re.split(r"[\s,]+", value.strip("[] ")) if isinstance(value, str) else value
    try:
        return [
            item if isinstance(item, ssl.VerifyFlags) else ssl.VerifyFlags[item.strip("'\"")]
            for item in names
        ]
    except (KeyError, TypeError, AttributeError):
        raise ValueError("names of ssl.VerifyFlags") from None


#: TLS options, allowed in a URL, in ``tls`` and in ``sentinel_tls``.
TLS_OPTIONS: dict[str, Callable[[Any], Any]] = {
    "ssl_keyfile": _text,
    "ssl_certfile": _text,
    "ssl_password": _text,
    "ssl_cert_reqs": _cert_reqs,
    "ssl_ca_certs": _text,
    "ssl_ca_path": _text,
    "ssl_ca_data": _text,
    "ssl_check_hostname": _flag,
    "ssl_min_version": _tls_version,
    "ssl_ciphers": _text,
    "ssl_include_verify_flags": _verify_flags,
    "ssl_exclude_verify_flags": _verify_flags,
}
#: Connection options passed to redis-py.
CONNECTION_OPTIONS: dict[str, Callable[[Any], Any]] = {"client_name": _name, "socket_keepalive": _flag}
#: redis-py options that are store options under another name.
TIMES = {"socket_connect_timeout": "connect_timeout", "socket_timeout": "command_timeout"}

#: redis-py options for which this store has fixed behaviour: the values that match it, and why others are
#: impossible.
_FIXED: dict[str, tuple[Callable[[str], bool], str]] = {
    "protocol": (lambda text: text == "2", "the store uses RESP 2 only"),
    "encoding": (lambda text: text.lower() in ("utf-8", "utf8"), "the store uses UTF-8 only"),
    "encoding_errors": (lambda text: text == "strict", "the store uses UTF-8 only"),
    "decode_responses": (lambda text: not _flag(text), "the store parses replies itself"),
    "retry_on_timeout": (
        lambda text: not _flag(text),
        "a command whose reply was lost may have been executed, so it is never repeated",
    ),
    "max_connections": (
        lambda text: _count(text) >= 2,
        "the store uses two connections to each node, one for commands and one for the bus",
    ),
    "health_check_interval": (
        lambda text: _seconds(text) >= 1 if text != "0" else True,
        "connections are monitored anyway; set the store option probe_interval",
    ),
}
#: redis-py options that this store does not accept in URLs, and what to do instead.
_REFUSED = {
    "host": "write the host before the path",
    "port": "write the port after the host",
    "path": "write unix:///path/of/the.sock",
    "timeout": "there is no pool to wait for; set the store options command_timeout and connect_timeout",
    "retry": "set the store option command_timeout",
    "retry_on_error": "only commands that Redis did not execute are retried, until command_timeout",
    "ssl": "use rediss:// for TLS",
    "single_connection_client": "the store always uses a single connection for commands",
    "socket_read_size": "the store chooses its own block size",
    "socket_keepalive_options": "set socket_keepalive, and configure its timing in the operating system",
    "socket_type": "the scheme determines the kind of socket",
    "lib_name": "set client_name instead",
    "lib_version": "set client_name instead",
    "legacy_responses": "the store parses replies itself",
    "skip_full_coverage_check": "the store discovers the slots by itself",
    "read_from_replicas": "replicas lag behind, so the store reads only from masters",
}
_KNOWN = [
    "db", "username", "password", *TIMES, *CONNECTION_OPTIONS, *TLS_OPTIONS, *_FIXED, *_REFUSED,
]  # fmt: skip


def parse_redis_url(url: Any) -> RedisUrl:
    """Parse a URL. Raises ``ValueError`` with a text that never shows the password."""
    if not isinstance(url, str):
        raise ValueError("expected a text such as 'redis://localhost:6379/0'")
    if url != url.strip() or re.search(r"[\s\x00-\x1f]", url):
        raise ValueError("it contains a space or a line break")
    scheme, separator, _ = url.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in SCHEMES:
        known = ", ".join(f"{name}://" for name in SCHEMES)
        hint = "; set Sentinels by the store option sentinels" if "sentinel" in scheme else ""
        raise ValueError(f"a Redis URL starts with one of {known}{hint}")
    parts = urlsplit(url)
    if parts.fragment or url.endswith("#"):
        raise ValueError("it contains a '#'; write it as %23 in a name or password")
    if "@" in parts.query and "@" not in parts.netloc and "=" not in parts.query.partition("@")[0]:
        raise ValueError("it contains a '?' in a name or password; write it as %3F")
    queries = _read_query(parts.query)
    options = _Options(queries, tls=SCHEMES[scheme])
    path_db: int | None = None
    if scheme == "unix":
        address = _unix_address(parts)
    else:
        address, path_db = _tcp_address(parts), _path_db(parts.path)
    db = options.db if path_db is None else path_db
    if options.db is not None and db != options.db:
        raise ValueError(f"it gives two databases, {path_db} and {options.db}")
    return RedisUrl(
        address=address,
        tls=SCHEMES[scheme],
        db=db or 0,
        username=unquote(parts.username) if parts.username else queries.get("username"),
        password=unquote(parts.password) if parts.password else queries.get("password"),
        connection=options.connection,
        tls_options=options.tls_options,
        times=options.times,
    )


def _read_query(text: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        if name in fields:
            raise ValueError(f"{name} is given twice")
        fields[name] = value
    return fields


def _unix_address(parts: SplitResult) -> Address:
    host = parts.netloc.rpartition("@")[2]
    if host or not parts.path.strip("/"):
        raise ValueError("a Unix socket needs an absolute path, such as unix:///run/redis.sock")
    return Address(unquote(parts.path), 0)


def _tcp_address(parts: SplitResult) -> Address:
    try:
        port = parts.port
    except ValueError:
        # The original error text could contain part of a password with a "/".
        hint = "; write '/' in a password as %2F" if parts.username is None else ""
        raise ValueError(f"its port is not a number from 1 to 65535{hint}") from None
    if port == 0:
        raise ValueError("its port is not a number from 1 to 65535")
    return Address(unquote(parts.hostname or "localhost"), port or DEFAULT_PORT)


def _path_db(path: str) -> int | None:
    text = unquote(path).strip("/")
    if text and not re.fullmatch(r"\d+", text, re.ASCII):
        raise ValueError(f"{path!r} is not a database: expected a number, such as '/0'")
    return int(text) if text else None


class _Options:
    """Parse the options in a URL's query. Raises ``ValueError`` for one that cannot be applied."""

    def __init__(self, fields: Mapping[str, str], *, tls: bool) -> None:
        self.db: int | None = None
        self.connection: dict[str, Any] = {}
        self.tls_options: dict[str, Any] = {}
        self.times: dict[str, float] = {}
        for name, text in fields.items():
            if name in TLS_OPTIONS and not tls:
                raise ValueError(f"{name} is for TLS: start the URL with rediss://")
            self._take(name, text)

    def _take(self, name: str, text: str) -> None:
        if name == "db":
            self.db = read_value(name, _count, text)
        elif name in ("username", "password"):
            read_value(name, _text, text, shown=False)
        elif name in TIMES:
            self.times[TIMES[name]] = read_value(name, _seconds, text)
        elif name in CONNECTION_OPTIONS:
            self.connection[name] = read_value(name, CONNECTION_OPTIONS[name], text)
        elif name in TLS_OPTIONS:
            self.tls_options[name] = read_value(name, TLS_OPTIONS[name], text, shown=name != "ssl_password")
        elif name in _FIXED:
            is_fulfilled, reason = _FIXED[name]
            if not read_value(name, is_fulfilled, text):
                raise ValueError(f"{name}={text} cannot be applied: {reason}")
        else:
            raise ValueError(refusal(name))


def read_value(name: str, read: Callable[[Any], Any], value: Any, *, shown: bool = True) -> Any:
    """Parse the value of an option. Raises ``ValueError`` that names the option."""
    try:
        return read(value)
    except ValueError as error:
        raise ValueError(f"{name}: expected {error}" + (f", got {value!r}" if shown else "")) from None


def read_tls(options: Mapping[str, Any]) -> dict[str, Any]:
    """Parse TLS options outside a URL. None means the default. Raises ``ValueError``."""
    for name in options:
        if name not in TLS_OPTIONS:
            raise ValueError(refusal(str(name), list(TLS_OPTIONS)))
    return {
        name: read_value(name, TLS_OPTIONS[name], value, shown=name != "ssl_password")
        for name, value in options.items()
        if value is not None
    }


def refusal(name: str, known: list[str] | None = None) -> str:
    """The reason why an option is not accepted."""
    if known is None and name in _REFUSED:
        return f"{name} is not accepted: {_REFUSED[name]}"
    close = get_close_matches(name, _KNOWN if known is None else known, n=1)
    return f"unknown option {name}" + (f"; did you mean {close[0]}" if close else "")


def hint_for_store_option(name: str) -> str | None:
    """Advice for a redis-py option given as a store option; None if redis-py has no such option."""
    if name in TIMES:
        return f"{name} is called {TIMES[name]} in the store options"
    if name in TLS_OPTIONS:
        return f"{name} belongs in the store option tls"
    if name in ("db", "username", "password", "host", "port", "path"):
        return f"{name} belongs in the store option url: redis://username:password@host:port/db"
    if name in CONNECTION_OPTIONS:
        return f"{name} belongs in the store option url: redis://host:port/db?{name}=…"
    if name in _FIXED:
        return f"{name} is not accepted: {_FIXED[name][1]}"
    return refusal(name) if name in _REFUSED else None
