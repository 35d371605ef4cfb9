"""Options of the Redis store (server-api.md, ``store_options``)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from chat_service.errors import ConfigurationError
from chat_service.option_group import OptionGroup, is_text
from chat_service.stores.redis.urls import RedisUrl, hint_for_store_option, parse_redis_url, read_tls

#: The values of ``bus_stamps``.
STAMPING = ("require", "send", "none")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RedisOptions(OptionGroup):
    """Options of the Redis store. An invalid value raises ``ConfigurationError``."""

    group: ClassVar = "store_options"
    hidden: ClassVar = frozenset({"bus_secret", "sentinel_password"})

    #: Address of Redis: "redis://", "rediss://" (TLS) or "unix://", with user, password and database.
    #: "valkey://" and "valkeys://" are synonyms. With Sentinels only user, password and database are used.
    url: str = "redis://localhost:6379/0"
    #: Whether this is a Redis Cluster; ``url`` then names any of its nodes.
    cluster: bool = False
    #: Addresses of the Sentinels that know the master, as (host, port) pairs.
    sentinels: Sequence[tuple[str, int]] = ()
    #: The Sentinels' name of the master.
    sentinel_service: str = "mymaster"
    #: User and password for the Sentinels; those in the url are for Redis itself.
    sentinel_username: str | None = None
    sentinel_password: str | None = None
    #: TLS options for the Sentinels, like ``tls``; may be empty. None connects without TLS.
    sentinel_tls: Mapping[str, Any] | None = None
    #: TLS options of redis-py for a "rediss://" url, such as ``ssl_ca_certs``.
    tls: Mapping[str, Any] = field(default_factory=dict)
    #: Prefix of all keys and channels.
    prefix: str = "chat"
    #: Maximum time in seconds for a command.
    command_timeout: float = 5.0
    #: Maximum time in seconds to connect.
    connect_timeout: float = 5.0
    #: Time in seconds between probes of the bus. A connection silent for twice as long is replaced.
    probe_interval: float = 2.0
    #: Secret that signs bus traffic, the same on all instances. Anything not signed with it is dropped.
    bus_secret: str | bytes | None = None
    #: What is done, with ``bus_secret``, against recorded notifications that are published again: "require"
    #: stamps notifications and drops those without a stamp, "send" only stamps them, "none" does neither.
    bus_stamps: str = "require"
    #: Time in seconds after which a join or leave that others wait for is reported.
    lock_ttl: float = 10.0

    def __post_init__(self) -> None:
        try:
            parsed = self.parsed_url
        except ValueError as error:
            raise self.error(f"{error}", "url") from None
        self._use_times(parsed)
        self.check("cluster", type(self.cluster) is bool, "True or False")
        # The value may not match its declared type.
        sentinels: Any = self.sentinels
        are_addresses = isinstance(sentinels, list | tuple) and all(map(_is_address, sentinels))
        self.check("sentinels", are_addresses, "(host, port) pairs")
        self.check("sentinel_service", is_text(self.sentinel_service), "the name of a master")
        for name, what in (("sentinel_username", "a name"), ("sentinel_password", "a password")):
            value = getattr(self, name)
            self.check(name, value is None or is_text(value), what)
        self._check_tls(parsed)
        self._check_prefix()
        self.check_seconds("command_timeout", "connect_timeout", "probe_interval", "lock_ttl")
        secret: Any = self.bus_secret
        is_secret = secret is None or (isinstance(secret, str | bytes) and bool(secret))
        self.check("bus_secret", is_secret, "a non-empty string or bytes")
        self.check("bus_stamps", self.bus_stamps in STAMPING, '"require", "send" or "none"')
        if self.cluster and self.sentinels:
            raise self.error("give cluster or sentinels, not both")
        if self.sentinels and not parsed.address.port:
            raise self.error("give a Unix socket or sentinels, not both")
        if not self.sentinels:
            for name in ("sentinel_username", "sentinel_password", "sentinel_tls"):
                if getattr(self, name) is not None:
                    raise self.error("it requires sentinels", name)

    def _use_times(self, parsed: RedisUrl) -> None:
        """Use the timeouts in the url for options that were not given."""
        defaults = {item.name: item.default for item in fields(self)}
        for name, seconds in parsed.times.items():
            if getattr(self, name) not in (defaults[name], seconds):
                raise self.error(f"the url has a different value, {seconds:g}", name)
            object.__setattr__(self, name, seconds)

    def _check_tls(self, parsed: RedisUrl) -> None:
        self.check("tls", isinstance(self.tls, Mapping), "a mapping of option names to values")
        if self.tls and not parsed.tls:
            raise self.error("the url does not use TLS; start it with rediss://", "tls")
        for name in self.tls:
            if name in parsed.tls_options:
                raise self.error(f"{name} is already in the url", "tls")
        if self.sentinel_tls is not None:
            is_mapping = isinstance(self.sentinel_tls, Mapping)
            self.check("sentinel_tls", is_mapping, "a mapping of option names to values")
        for name in ("tls", "sentinel_tls"):
            try:
                read_tls(getattr(self, name) or {})
            except ValueError as error:
                raise self.error(f"{error}", name) from None

    def _check_prefix(self) -> None:
        prefix: Any = self.prefix
        if isinstance(prefix, str) and set(prefix) & set("{}"):
            raise ConfigurationError(
                f"store_options prefix: expected no braces, got {prefix!r}: each room, user and instance"
                " has a hash tag already, so that a cluster can spread them"
            )
        self.check("prefix", _is_prefix(self.prefix), "printable ASCII characters without braces or '@'")

    @classmethod
    def from_mapping(cls, options: Mapping[str, Any]) -> "RedisOptions":
        """Create options from a mapping. An unknown name raises ``ConfigurationError``."""
        known = {item.name for item in fields(cls)}
        for name in options:
            hint = hint_for_store_option(str(name)) if name not in known else None
            if hint is not None:
                raise ConfigurationError(f"unknown store_options {name}: {hint}")
        # super() needs the class as it was before slots were added.
        return super(RedisOptions, cls).from_mapping(options)

    @property
    def parsed_url(self) -> RedisUrl:
        """``url``, parsed."""
        return parse_redis_url(self.url)

    def title(self, address: str) -> str:
        """A description for people, without credentials. ``address``: used unless there are Sentinels."""
        if self.sentinels:
            return "Redis by Sentinels at " + ", ".join(f"{host}:{port}" for host, port in self.sentinels)
        return f"{'Redis Cluster' if self.cluster else 'Redis'} at {address}"

    @property
    def secret(self) -> bytes:
        """``bus_secret`` as bytes, empty if not set."""
        secret = self.bus_secret or b""
        return secret.encode() if isinstance(secret, str) else secret


def _is_prefix(value: Any) -> bool:
    if not is_text(value) or set(value) & set("{}@"):
        return False
    return bool(value.isascii() and value.isprintable() and " " not in value)


def _is_address(item: Any) -> bool:
    return (
        isinstance(item, tuple | list)
        and len(item) == 2
        and isinstance(item[0], str)
        and bool(item[0].strip())
        and type(item[1]) is int
        and 0 < item[1] < 65536
    )
