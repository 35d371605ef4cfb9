"""Which services a command is about: their store, and how to open it without taking part."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from chat_service.cli.failures import CliError, ExitCode
from chat_service.errors import ConfigurationError
from chat_service.protocol.names import natural_key

if TYPE_CHECKING:
    from chat_service.cli.settings import Fault, Settings
    from chat_service.contracts.bus import BusListener, Envelope, Topic
    from chat_service.contracts.records import Page
    from chat_service.stores.redis import RedisStore

T = TypeVar("T")

NO_TARGET = "say which services: --url redis://HOST:PORT/DB, or --config FILE"
IN_MEMORY = (
    "a memory store lives inside of its server's process, so nothing outside can look into it; "
    "services over Redis can be looked into"
)


class Deaf:
    """A ``BusListener`` of who only reads."""

    def on_envelope(self, topic: "Topic", envelope: "Envelope") -> None:
        """Nothing is subscribed."""

    def on_interruption(self, topic: "Topic") -> None:
        """Nothing is subscribed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The store of running services, and the options of them that matter to a look from outside."""

    store_type: str
    store_options: Mapping[str, Any] = field(default_factory=dict)
    #: Seconds, as the services have it.
    heartbeat_timeout: float = 30.0
    #: What the file says, when one was given, and what is wrong in it.
    settings: "Settings | None" = None
    faults: "tuple[Fault, ...]" = ()

    @classmethod
    def from_options(
        cls,
        *,
        url: str | None = None,
        config: str | None = None,
        store: str | None = None,
        cluster: bool | None = None,
        prefix: str | None = None,
        sentinels: Sequence[str] | None = None,
        sentinel_service: str | None = None,
    ) -> "Target":
        """Options of the command line; what they do not say comes from the file."""
        store_type, options, timeout = store, {}, 30.0
        settings: Settings | None = None
        faults: tuple[Fault, ...] = ()
        if config is not None:
            from chat_service.cli import settings as files

            settings, found = files.Settings.look(config)
            faults = tuple(found)
            store_type = store or ("redis" if url else settings.store_type)
            if store_type == settings.store_type:
                options = dict(settings.store_options)
            timeout = _seconds(settings.service.get("heartbeat_timeout"), timeout)
        elif url is None and not sentinels and store is None:
            raise CliError(ExitCode.USAGE, NO_TARGET)
        given = {
            "url": url,
            "cluster": cluster,
            "prefix": prefix,
            "sentinels": [_address(text) for text in sentinels or ()] or None,
            "sentinel_service": sentinel_service,
        }
        options.update({name: value for name, value in given.items() if value is not None})
        return cls(
            store_type=store_type or "redis",
            store_options=options,
            heartbeat_timeout=timeout,
            settings=settings,
            faults=faults,
        )

    @property
    def is_readable(self) -> bool:
        """Whether the file, if one was given, says anything at all."""
        return not any(fault.section == "" for fault in self.faults)

    @property
    def store_fault(self) -> str | None:
        """What is wrong in the file about the store. A login or a room keeps nobody from looking into it."""
        texts = [fault.text for fault in self.faults if fault.section in ("", "store")]
        return texts[0] if texts else None

    def make_store(self, *, is_strict: bool = True) -> "RedisStore":
        """The store, not opened. Raises for one that cannot be looked into.

        ``is_strict``: also when the file has faults that a store could be made in spite of.
        """
        if is_strict and self.settings is not None and self.store_fault is not None:
            raise ConfigurationError(f"{self.settings.path}: {self.store_fault}")
        if self.store_type == "memory":
            raise CliError(ExitCode.CONFIGURATION, IN_MEMORY)
        from chat_service.stores.redis import RedisStore

        return RedisStore(self.store_options, needs_all_rights=False)

    @asynccontextmanager
    async def open(self, listener: "BusListener | None" = None) -> "AsyncIterator[RedisStore]":
        """The open store. No instance is registered, and nothing is changed."""
        store = self.make_store()
        await store.open(listener or Deaf())
        try:
            yield store
        finally:
            await store.close()


def _seconds(value: Any, default: float) -> float:
    return float(value) if type(value) in (int, float) and value > 0 else default


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise CliError(ExitCode.USAGE, f"--sentinel: expected HOST:PORT, got {text}")
    return host, int(port)


def run_async(work: "Coroutine[Any, Any, T]") -> T:
    """Run the work of a command. What libraries log on the way is not for the terminal."""
    logger = logging.getLogger("chat_service")
    before, logger.propagate = logger.propagate, False
    silent = logging.NullHandler()
    logger.addHandler(silent)
    try:
        return asyncio.run(work)
    finally:
        logger.removeHandler(silent)
        logger.propagate = before


#: Names that one page asks for.
PAGE = 500


class _Named(Protocol):
    @property
    def name(self) -> str: ...


ItemT = TypeVar("ItemT", bound=_Named)


async def collect(
    ask: "Callable[[int, str | None], Awaitable[Page[ItemT]]]", limit: int | None, cursor: str | None
) -> tuple[Sequence[ItemT], str | None]:
    """At least ``limit`` items (all when None) unless there are fewer, sorted by their names, each once.

    Returns also the cursor of what follows.
    """
    found: dict[str, ItemT] = {}
    while True:
        wanted = PAGE if limit is None else min(PAGE, limit - len(found))
        page = await ask(wanted, cursor)
        found.update((item.name, item) for item in page.items)
        cursor = page.cursor
        if cursor is None or (limit is not None and len(found) >= limit):
            return [found[name] for name in sorted(found, key=natural_key)], cursor
