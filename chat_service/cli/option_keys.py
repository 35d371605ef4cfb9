"""All keys of the configuration file: their types, defaults, documentation and environment variables."""

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from typing import Any, Final, get_type_hints

from chat_service.cli.login_settings import LoginSettings
from chat_service.cli.sections import DIALECTS, SECRETS, ProcessSettings, RoomSettings

#: Options that have their own sections in the file, with the names of the sections.
SECTIONS_OF_OPTIONS: Final[Mapping[str, str]] = {
    "store": "store",
    "store_options": "store",
    "transport": "transport",
    "transport_options": "transport",
    "api_options": "api",
    "webhook_options": "webhooks",
}
#: Options that are Python objects, which no file can have.
_OBJECTS: Final = frozenset({"app", "server", "middleware", "tls", "payload"})

#: The variable that sets a key is this, the section, two underscores and the key. One underscore would
#: not do: Kubernetes sets CHAT_SERVICE_PORT in every container if there is a Service named "chat".
PREFIX: Final = "CHAT_"
#: The variable of the rooms: their names, or a JSON list of tables.
ROOMS_VARIABLE: Final = "CHAT_ROOMS"
#: The text that stands for "none" in a variable.
NONE: Final = "none"


def variable(section: str, key: str) -> str:
    """The environment variable of a key."""
    return f"{PREFIX}{section}__{key}".upper()


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key of a section. ``default`` is MISSING if the key is required."""

    section: str
    name: str
    type: Any
    default: Any
    doc: str

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return variable(self.section, self.name)

    @property
    def short_variable(self) -> str | None:
        """The shorter variable that a secret has, too."""
        return next((name for name, key in SECRETS.items() if key == (self.section, self.name)), None)


@cache
def keys_of(section: str) -> tuple[Key, ...]:
    """The keys of a section, in the order of their definition. [[rooms]]: those of one room."""
    if section == "store":
        return tuple(_store_keys())
    return (*_dialect_key(section), *_keys(section))


def all_keys() -> dict[str, Key]:
    """The keys that variables set, by the names of the variables."""
    from chat_service.cli.sections import SECTIONS

    return {key.variable: key for section in SECTIONS if section != "rooms" for key in keys_of(section)}


def names_of(section: str) -> list[str]:
    """The names of the keys of a section."""
    return [key.name for key in keys_of(section)]


def _store_keys() -> Iterator[Key]:
    doc = '"memory" or "redis".  [default: "redis" if there is a url, else "memory"]'
    yield Key(section="store", name="type", type=str | None, default=None, doc=doc)
    yield from _keys("store")


def _dialect_key(section: str) -> Iterator[Key]:
    docs = {
        "websocket": '"plain", or "actionhero" for ActionHero\'s browser client, whose path is "/primus".',
        "lines": '"plain", or "actionhero" for actionhero-client and telnet.',
    }
    if section in docs:
        yield Key(section=section, name="dialect", type=str, default=DIALECTS[0], doc=docs[section])


def _keys(section: str) -> Iterator[Key]:
    kind = _class_of(section)
    hints = get_type_hints(kind)
    docs = _comments(kind)
    left_out = {*SECTIONS_OF_OPTIONS, *_OBJECTS} - ({"tls"} if section == "store" else set())
    for item in fields(kind):
        if item.name not in left_out:
            default = item.default_factory() if item.default_factory is not MISSING else item.default
            yield Key(
                section=section,
                name=item.name,
                type=hints[item.name],
                default=default,
                doc=item.metadata.get("doc") or docs.get(item.name, ""),
            )


def _class_of(section: str) -> type[Any]:
    """The data class whose fields are the keys. Imports are late, as most commands need none of them."""
    match section:
        case "service":
            from chat_service.options import Options

            return Options
        case "store":
            from chat_service.stores.redis.redis_options import RedisOptions

            return RedisOptions
        case "transport":
            from chat_service.transports.socketio.socketio_options import SocketIOOptions

            return SocketIOOptions
        case "websocket":
            from chat_service.transports.streams.websocket_transport import WebSocketOptions

            return WebSocketOptions
        case "lines":
            from chat_service.transports.streams.line_transport import LineOptions

            return LineOptions
        case "actionhero":
            from chat_service.transports.actionhero import ActionHeroOptions

            return ActionHeroOptions
        case "api":
            from chat_service.http_api.api_options import ApiOptions

            return ApiOptions
        case "webhooks":
            from chat_service.webhooks.webhook_options import WebhookOptions

            return WebhookOptions
        case "uploads":
            from chat_service.uploads.upload_options import UploadOptions

            return UploadOptions
    return {"login": LoginSettings, "process": ProcessSettings, "rooms": RoomSettings}[section]


_FIELD: Final = re.compile(r"    (\w+): ")


def _comments(kind: type[Any]) -> dict[str, str]:
    """The ``#:`` comments above the fields of a data class and its bases; none without sources."""
    found: dict[str, str] = {}
    for each in reversed(kind.__mro__[:-1]):
        try:
            lines = inspect.getsource(each).splitlines()
        except OSError:
            continue
        above: list[str] = []
        is_over = True
        for line in lines:
            text = line.strip()
            field = _FIELD.match(line)
            if text.startswith("#:"):
                above = [*([] if is_over else above), text.removeprefix("#:").strip()]
                is_over = False
            elif field is not None:
                # A comment is also about the fields directly below its field.
                found[field[1]] = " ".join(above)
                is_over = True
            elif not text:
                above = []
    return found
