"""Pages of a list, as one."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from chat_service.protocol.names import natural_key

if TYPE_CHECKING:
    from chat_service.contracts.store import Page

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
