"""The sections of ``serve``'s file that are not service options, and the list of all sections."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from chat_service.errors import ConfigurationError

#: The sections, each with where its keys come from.
SECTIONS: Final[Mapping[str, str]] = {
    "service": "Options of the service.",
    "store": "Where state lives: `type`, and the options of that store.",
    "transport": "Options of the Socket.IO transport.",
    "websocket": "Options of the plain WebSocket transport, which the section switches on. On the port of "
    "Socket.IO, the options of [transport] decide which requests are let in.",
    "lines": "Options of the line transport, which the section switches on.",
    "actionhero": 'Options of ActionHero\'s dialect, for sections with `dialect = "actionhero"`.',
    "api": "Options of the HTTP API, which the operations port serves if there is a token.",
    "webhooks": "Options of webhooks: the service calls a back end over HTTP, and sends it events.",
    "uploads": "Options of uploads, which the section switches on: files and images in rooms.",
    "login": "How users log in.",
    "rooms": "Rooms that are created at the start.",
    "process": "The processes, and their logs.",
}

#: Sections without which something is off.
SECTIONS_THAT_SWITCH_ON: Final = ("websocket", "lines", "uploads", "login")

#: Secrets, by the short variables that set them even without pydantic-settings.
SECRETS: Final = {
    "CHAT_STORE_URL": ("store", "url"),
    "CHAT_STORE_BUS_SECRET": ("store", "bus_secret"),
    "CHAT_STORE_SENTINEL_PASSWORD": ("store", "sentinel_password"),
    "CHAT_LOGIN_SECRET": ("login", "secret"),
    "CHAT_LOGIN_SESSION_SECRET": ("login", "session_secret"),
    "CHAT_LOGIN_OIDC_CLIENT_SECRET": ("login", "oidc_client_secret"),
    "CHAT_API_TOKENS": ("api", "tokens"),
    "CHAT_API_TOKENS_FILE": ("api", "tokens_file"),
    "CHAT_WEBHOOK_SECRETS": ("webhooks", "secrets"),
    "CHAT_UPLOADS_SECRET": ("uploads", "secret"),
}

#: The protocols that clients of [websocket] or [lines] may speak.
DIALECTS: Final = ("plain", "actionhero")
LOG_LEVELS: Final = ("debug", "info", "warning", "error")
LOG_FORMATS: Final = ("text", "json")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSettings:
    """The section ``[process]``."""

    #: Number of processes that share the port, at least 1. More than one requires Redis and WebSocket only.
    workers: int = 1
    #: Minimum level of log messages: "debug", "info", "warning" or "error".
    log_level: str = "info"
    #: "text", or "json" for one object per line.
    log_format: str = "text"

    def __post_init__(self) -> None:
        workers: Any = self.workers
        if type(workers) is not int or workers < 1:
            raise ConfigurationError(f"[process] workers: expected a whole number from 1, got {workers!r}")
        check_choice("[process] log_level", self.log_level, LOG_LEVELS)
        check_choice("[process] log_format", self.log_format, LOG_FORMATS)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomSettings:
    """One ``[[rooms]]``: a room that is created at the start if missing. See ``add_room``."""

    #: Name of the room.
    name: str
    #: The user who owns it, None for nobody.
    owner: str | None = None
    #: Users who may join if `whitelist_only` is set.
    whitelist: tuple[str, ...] = ()
    #: Users who may not join.
    blacklist: tuple[str, ...] = ()
    #: Users who may change the lists and write system messages.
    adminlist: tuple[str, ...] = ()
    #: Whether only users of the whitelist, the admins and the owner may join.
    whitelist_only: bool = False
    #: Defaults to the option of the service, like the next four.
    history_max_size: int | None = None
    history_max_bytes: int | None = None
    history_ttl: float | None = None
    enable_access_lists_updates: bool | None = None
    enable_userlist_updates: bool | None = None
    #: 0: the room is kept even while nobody is joined.
    empty_ttl: float = 0.0


def check_choice(what: str, value: Any, choices: tuple[str, ...]) -> None:
    """Raise ``ConfigurationError`` if a value is not one of the choices."""
    if value not in choices:
        raise ConfigurationError(f"{what}: expected {' or '.join(map(repr, choices))}, got {value!r}")
