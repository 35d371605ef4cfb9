"""The input of the HTTP API's handlers: an admitted request with its checked values."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from chat_service.contracts.records import Ban, Page, RoomSummary, UserSummary
from chat_service.domain.context import Context
from chat_service.domain.listing import InstanceStatus, RoomStatus
from chat_service.errors import ChatServiceError
from chat_service.http_api.api_options import ApiOptions
from chat_service.http_api.api_tokens import Token
from chat_service.http_api.problems import ApiProblem
from chat_service.protocol.names import check_room_name, natural_key
from chat_service.types import RoomName


class ServiceCalls(Protocol):
    """The part of the server API that the HTTP API uses. ``ChatService`` documents the methods."""

    async def exec_user_command(
        self, context: Any, command: str, *args: Any, options: Mapping[str, Any] | None = None
    ) -> list[Any]: ...
    async def add_room(self, name: str, **settings: Any) -> None: ...
    async def delete_room(self, name: str) -> None: ...
    async def room_status(self, room: str) -> RoomStatus: ...
    async def erase_message(self, room: str, message_id: int) -> None: ...
    async def change_room_owner(self, room: str, owner: str | None) -> None: ...
    async def change_room_history_max_size(self, room: str, size: int) -> None: ...
    async def change_room_history_max_bytes(self, room: str, size: int) -> None: ...
    async def change_room_history_ttl(self, room: str, seconds: float | None) -> None: ...
    async def change_room_empty_ttl(self, room: str, seconds: float | None) -> None: ...
    async def change_access_lists_updates(self, room: str, enabled: bool) -> None: ...
    async def change_userlist_updates(self, room: str, enabled: bool) -> None: ...
    async def list_rooms(self, limit: int = 100, cursor: str | None = None) -> Page[RoomSummary]: ...
    async def add_user(self, name: str, **settings: Any) -> None: ...
    async def delete_user(self, name: str) -> None: ...
    async def has_user(self, name: str) -> bool: ...
    async def list_users(
        self, limit: int = 100, cursor: str | None = None, *, online: bool = True
    ) -> Page[UserSummary]: ...
    async def disconnect_user_sockets(self, user: str) -> None: ...
    async def ban_user(self, user: str, seconds: float | None = None, reason: str | None = None) -> None: ...
    async def unban_user(self, user: str) -> bool: ...
    async def get_ban(self, user: str) -> Ban | None: ...
    async def list_instances(self) -> list[InstanceStatus]: ...
    async def instance_recovery(self, instance_id: str) -> None: ...
    async def user_state_sync(self, user: str) -> None: ...
    async def room_state_sync(self, room: str) -> None: ...
    @property
    def transport(self) -> Any: ...


class Closing:
    """Signals that streams have to end, and wakes the waiting ones."""

    def __init__(self) -> None:
        self.is_closing = False
        self._sleepers: set[asyncio.Event] = set()

    def add(self, sleeper: asyncio.Event) -> None:
        """Register an event to be set at the end."""
        self._sleepers.add(sleeper)

    def discard(self, sleeper: asyncio.Event) -> None:
        """Undo ``add``."""
        self._sleepers.discard(sleeper)

    def begin(self) -> None:
        """Signal the end to all streams."""
        self.is_closing = True
        for sleeper in self._sleepers:
            sleeper.set()


@dataclass(slots=True, kw_only=True)
class ApiCall:
    """A request whose token has the required scope. ``path``, ``query`` and ``body`` hold checked values."""

    context: Context
    options: ApiOptions
    #: Who makes the request.
    token: Token
    path: Mapping[str, str]
    query: Mapping[str, Any]
    body: Any
    idempotency_key: str | None
    #: The header ``Last-Event-ID``.
    last_event_id: str | None
    closing: Closing
    #: Status of the answer.
    status: int
    #: Additional text for the audit line.
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def service(self) -> ServiceCalls:
        """The service."""
        service: ServiceCalls = self.context.service
        return service

    def page_size(self) -> int:
        """Maximum number of items in the answer: the field ``limit`` of the query, otherwise 100 or fewer."""
        limit = self.query.get("limit")
        return min(100, self.options.max_page_size) if limit is None else int(limit)


def page_of_names(names: Sequence[str], limit: int, cursor: str | None) -> tuple[list[str], str | None]:
    """A page of sorted names, and the cursor of the next page: the last name of this one."""
    ordered = sorted(names, key=natural_key)
    if cursor is not None:
        after = natural_key(cursor)
        ordered = [name for name in ordered if natural_key(name) > after]
    return ordered[:limit], ordered[limit - 1] if len(ordered) > limit else None


def bad_request(message: str) -> ApiProblem:
    """An error for a request that can never work."""
    return ApiProblem("badRequest", message)


def room_of(call: ApiCall) -> RoomName:
    """The room named in the path. Raises ``invalidName``."""
    check_room_name(call.path["room"], call.context.limits.name_length)
    return RoomName(call.path["room"])


async def check_user(call: ApiCall) -> None:
    """Raise ``invalidName`` or ``noUser`` for the user named in the path."""
    if not await call.service.has_user(call.path["user"]):
        raise ChatServiceError("noUser", call.path["user"])
