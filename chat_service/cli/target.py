"""The services that a command is about: their store, and opening it without taking part."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from chat_service.cli.environment import has_options
from chat_service.cli.failures import CliError, ExitCode
from chat_service.contracts.bus import Deaf
from chat_service.errors import ConfigurationError
from chat_service.protocol.names import natural_key

if TYPE_CHECKING:
    from chat_service.cli.settings import Fault, Settings
    from chat_service.contracts.bus import BusListener
    from chat_service.contracts.records import Page
    from chat_service.stores.redis import RedisStore

T = TypeVar("T")

NO_TARGET = "name the services: --url redis://HOST:PORT/DB, or --config FILE"
IN_MEMORY = (
    "a memory store lives inside its server's process and cannot be inspected from outside; "
    "services on Redis can"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The store of running services, and those of their options that matter to a command."""

    store_type: str
    store_options: Mapping[str, Any] = field(default_factory=dict)
    #: In seconds, as configured for the services.
    heartbeat_timeout: float = 30.0
    #: The content of the file, if one was given, and its errors.
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
        """Combine options of the command line with the file, which provides the rest."""
        store_type, options, timeout = store, {}, 30.0
        settings: Settings | None = None
        faults: tuple[Fault, ...] = ()
        if config is not None or has_options(os.environ):
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
        """Whether a file was given and has any content."""
        return not any(fault.section == "" for fault in self.faults)

    @property
    def store_fault(self) -> str | None:
        """Errors of the file that concern the store. Errors of logins or rooms do not matter here."""
        texts = [fault.text for fault in self.faults if fault.section in ("", "store")]
        return texts[0] if texts else None

    def make_store(self, *, is_strict: bool = True) -> "RedisStore":
        """The store, not opened. Raises if it cannot be inspected.

        ``is_strict``: also raise if the file has errors that do not prevent making a store.
        """
        if is_strict and self.settings is not None and self.store_fault is not None:
            raise ConfigurationError(self.settings.placed(self.store_fault, "store"))
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
    """Run the work of a command, without log messages of libraries on the terminal."""
    logger = logging.getLogger("chat_service")
    before, logger.propagate = logger.propagate, False
    silent = logging.NullHandler()
    logger.addHandler(silent)
    try:
        return asyncio.run(work)
    finally:
        logger.removeHandler(silent)
        logger.propagate = before


#: Number of names requested per page.
PAGE = 500


class _Named(Protocol):
    @property
    def name(self) -> str: ...


ItemT = TypeVar("ItemT", bound=_Named)


async def collect(
    ask: "Callable[[int, str | None], Awaitable[Page[ItemT]]]", limit: int | None, cursor: str | None
) -> tuple[Sequence[ItemT], str | None]:
    """At least ``limit`` items (all if None) unless there are fewer, sorted by name, each once.

    Also returns the cursor of the next page.
    """
    found: dict[str, ItemT] = {}
    while True:
        wanted = PAGE if limit is None else min(PAGE, limit - len(found))
        page = await ask(wanted, cursor)
        found.update((item.name, item) for item in page.items)
        cursor = page.cursor
        if cursor is None or (limit is not None and len(found) >= limit):
            return [found[name] for name in sorted(found, key=natural_key)], cursor
