"""Options of the Redis store (server-api.md, ``store_options``)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from redis.asyncio.connection import parse_url

from chat_service.errors import ConfigurationError
from chat_service.options import refuse_unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisOptions:
    """Raises ``ConfigurationError`` for a value that cannot work."""

    #: Where Redis is: "redis://", "rediss://" (TLS) or "unix://", with user, password and database.
    url: str = "redis://localhost:6379/0"
    #: Whether it is a Redis Cluster; ``url`` then names any of its nodes.
    cluster: bool = False
    #: Sentinels as (host, port) pairs, when Sentinel says where the master is.
    sentinels: Sequence[tuple[str, int]] = ()
    #: Name of the master at the sentinels.
    sentinel_service: str = "mymaster"
    #: Password of the sentinels.
    sentinel_password: str | None = None
    #: TLS options of redis-py, such as ``ssl_ca_certs``, for a "rediss://" url.
    tls: Mapping[str, Any] = field(default_factory=dict)
    #: What every key and channel begins with.
    prefix: str = "chat"
    #: Seconds that a command may take.
    command_timeout: float = 5.0
    #: Seconds that a connect may take.
    connect_timeout: float = 5.0
    #: Seconds between two probes of the bus; twice as long without an answer is a deaf connection.
    probe_interval: float = 2.0
    #: Signs what is sent on the bus; the same for all instances. What is not signed by it is dropped.
    bus_secret: str | bytes | None = None
    #: Seconds after which a long stay in a lock is reported.
    lock_ttl: float = 10.0

    def __post_init__(self) -> None:
        try:
            parse_url(self.url)
        except (ValueError, AttributeError, TypeError) as error:
            raise ConfigurationError(f"store_options url: {error}") from None
        self._check("cluster", type(self.cluster) is bool, "True or False")
        # What came need not be what the types say.
        sentinels: Any = self.sentinels
        are_addresses = isinstance(sentinels, list | tuple) and all(map(_is_address, sentinels))
        self._check("sentinels", are_addresses, "(host, port) pairs")
        self._check("sentinel_service", _is_text(self.sentinel_service), "the name of a master")
        password = self.sentinel_password
        self._check("sentinel_password", password is None or _is_text(password), "a password")
        self._check("tls", isinstance(self.tls, Mapping), "a mapping of option names to values")
        self._check("prefix", _is_prefix(self.prefix), "printable ASCII characters without braces")
        for name in ("command_timeout", "connect_timeout", "probe_interval", "lock_ttl"):
            self._check(name, _is_seconds(getattr(self, name)), "seconds, more than 0")
        secret: Any = self.bus_secret
        is_secret = secret is None or (isinstance(secret, str | bytes) and bool(secret))
        self._check("bus_secret", is_secret, "a non-empty string or bytes")
        if self.cluster and self.sentinels:
            raise ConfigurationError("store_options: give cluster or sentinels, not both")

    def _check(self, name: str, is_good: bool, expected: str) -> None:
        if not is_good:
            shown = "another value" if name in _SECRETS else repr(getattr(self, name))
            raise ConfigurationError(f"store_options {name}: expected {expected}, got {shown}")

    @classmethod
    def from_mapping(cls, options: Mapping[str, Any]) -> "RedisOptions":
        """Make options of a mapping; an unknown name raises ``ConfigurationError``."""
        refuse_unknown("store_options", options, [item.name for item in fields(cls)])
        return cls(**options)

    @property
    def secret(self) -> bytes:
        """``bus_secret`` as bytes, empty when there is none."""
        secret = self.bus_secret or b""
        return secret.encode() if isinstance(secret, str) else secret


#: Options whose values no message shows.
_SECRETS = frozenset({"bus_secret", "sentinel_password"})


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_prefix(value: Any) -> bool:
    if not _is_text(value) or set(value) & set("{}"):
        return False
    return bool(value.isascii() and value.isprintable() and " " not in value)


def _is_address(item: Any) -> bool:
    return (
        isinstance(item, tuple | list)
        and len(item) == 2
        and isinstance(item[0], str)
        and type(item[1]) is int
    )


def _is_seconds(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and value > 0
