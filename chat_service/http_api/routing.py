"""The rows of the table of routes, and matching a path to its rows."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

from chat_service.http_api import schemas as data
from chat_service.http_api.api_call import ApiCall
from chat_service.http_api.schemas import Schema

Handler = Callable[[ApiCall], Awaitable[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Param:
    """A field of a route's query."""

    name: str
    schema: Schema
    doc: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method of one path. ``scope``: what the token needs; "write" and "admin" are audited."""

    method: str
    path: str
    scope: str
    handler: Handler
    #: Description for users; the text of ``command`` if empty.
    doc: str = ""
    #: The command that it runs, whose errors it can return.
    command: str = ""
    query: tuple[Param, ...] = ()
    body: Schema | None = None
    #: Schema of the answer; None for an answer without a body.
    answer: Schema | None = None
    status: int = 200
    #: Error codes that it can return besides those of the command.
    errors: tuple[str, ...] = ()
    #: Whether it accepts the header ``Idempotency-Key``.
    takes_key: bool = False
    #: Whether the answer is a stream of events.
    is_stream: bool = False
    #: The parts of the path; parts in braces are parameters.
    parts: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(self.path[1:].split("/")))

    @property
    def is_write(self) -> bool:
        """Whether it changes anything."""
        return self.scope != "read"

    @property
    def parameters(self) -> list[str]:
        """The names of the path's parameters."""
        return [part[1:-1] for part in self.parts if part[0] == "{"]


def split_path(path: str) -> list[str] | None:
    """The decoded parts of a percent-encoded path; None if it cannot be decoded."""
    try:
        return [unquote_to_bytes(part).decode() for part in path[1:].split("/")]
    except UnicodeDecodeError:
        return None


def find_routes(table: Sequence[Route], parts: list[str]) -> dict[str, tuple[Route, dict[str, str]]]:
    """The routes of a path by their methods, each with the path's parameters."""
    found = {}
    for route in table:
        values = _match(route, parts)
        if values is not None:
            found[route.method] = route, values
    return found


def _match(route: Route, parts: list[str]) -> dict[str, str] | None:
    if len(parts) != len(route.parts):
        return None
    values = {}
    for part, wanted in zip(parts, route.parts, strict=True):
        if wanted[0] == "{":
            if not part:
                return None
            values[wanted[1:-1]] = part
        elif part != wanted:
            return None
    return values


PAGE = (
    Param(
        name="limit",
        schema={"type": "integer", "minimum": 1, "maximum": data.PAGE},
        doc="how many items the page may have; 100 if it is not given",
    ),
    Param(
        name="cursor",
        schema={"type": "string", "minLength": 1, "maxLength": 2048},
        doc="the `cursor` of the page before; a page whose `cursor` is null is the last one",
    ),
)
CONTAINS = Param(
    name="contains",
    schema={"type": "string", "minLength": 1, "maxLength": 256},
    doc=(
        "only names with this in them, whatever the case; each request looks through `max_page_size` names, "
        "and may find none while others follow"
    ),
)
AFTER = Param(name="after", schema=data.COUNT, doc="the id of the last known message; 0 for all messages")
EPOCH = Param(name="epoch", schema=data.EPOCH, doc="the epoch of that message, which `after` needs")
ROOM = ("invalidName", "noRoom")
USER = ("invalidName", "noUser")
