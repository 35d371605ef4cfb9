"""A service from the settings of a file."""

from typing import Any

from chat_service.cli.logins import make_login
from chat_service.cli.settings import RoomSettings, Settings
from chat_service.errors import ConfigurationError
from chat_service.service import ChatService

NO_LOGIN = (
    'say how users log in: a section [login] with type = "jwt", or with type = "name" for trials, '
    "which takes everybody's word"
)


def build_service(settings: Settings) -> ChatService:
    """Make the service. Raises ``ConfigurationError`` with the path of the file."""
    try:
        if settings.login is None:
            raise ConfigurationError(NO_LOGIN)
        login = make_login(settings.login)
        hooks: dict[str, Any] = {"on_connect": login.on_connect, "on_start": _RoomMaker(settings.rooms)}
        on_disconnect = getattr(login, "on_disconnect", None)
        if on_disconnect is not None:
            hooks["on_disconnect"] = on_disconnect
        return ChatService(
            hooks=hooks,
            store=settings.store_type,
            store_options=dict(settings.store_options),
            transport_options=dict(settings.transport_options),
            **settings.service,
        )
    except ConfigurationError as error:
        raise ConfigurationError(f"{settings.path}: {error}") from None


class _RoomMaker:
    """An ``on_start`` hook that makes the rooms that are not there."""

    def __init__(self, rooms: tuple[RoomSettings, ...]) -> None:
        self._rooms = rooms

    async def __call__(self, service: ChatService) -> None:
        for room in self._rooms:
            given = {name: getattr(room, name) for name in RoomSettings.__slots__ if name != "name"}
            await service.add_room(room.name, **given, exist_ok=True)
