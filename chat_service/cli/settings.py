"""The configuration file of ``serve``: a service with its store, transport, logins and rooms, in TOML."""

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, Final, TypeVar

from chat_service.cli.sections import (
    SECRETS,
    SECTIONS,
    LoginSettings,
    ProcessSettings,
    RoomSettings,
    check_choice,
)
from chat_service.errors import ConfigurationError
from chat_service.option_group import refuse_unknown
from chat_service.options import Options

T = TypeVar("T")

STORES: Final = ("memory", "redis")
#: Options that have their own sections here, with the names of the sections.
SECTIONS_OF_OPTIONS: Final[Mapping[str, str]] = {
    "store": "store",
    "store_options": "store",
    "transport": "transport",
    "transport_options": "transport",
    "api_options": "api",
    "webhook_options": "webhooks",
}
#: Options of the transport that are Python objects.
_OBJECTS: Final = frozenset({"app", "server", "middleware", "tls"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """An error in a file. ``section``: where; empty if the file cannot be read at all."""

    section: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The content of a file. ``service`` and the options of store and transport are checked when they are
    used.
    """

    path: str
    service: Mapping[str, Any] = field(default_factory=dict)
    store_type: str = "memory"
    store_options: Mapping[str, Any] = field(default_factory=dict)
    transport_options: Mapping[str, Any] = field(default_factory=dict)
    #: Options of the other transports; None if there is none.
    websocket_options: Mapping[str, Any] | None = None
    line_options: Mapping[str, Any] | None = None
    api_options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    webhook_options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    login: LoginSettings | None = None
    rooms: tuple[RoomSettings, ...] = ()
    process: ProcessSettings = field(default_factory=ProcessSettings)

    @classmethod
    def read(cls, path: str, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read a file, and secrets from the environment.

        Raises ``ConfigurationError`` with the path and the first error. An unknown key is refused with a
        suggestion for the nearest known one.
        """
        settings, faults = cls.look(path, environment)
        if faults:
            raise ConfigurationError(f"{path}: {faults[0].text}")
        return settings

    @classmethod
    def look(cls, path: str, environment: Mapping[str, str] = os.environ) -> "tuple[Settings, list[Fault]]":
        """Like ``read``, but continues after an error: returns the valid part of the file, and all errors."""
        reader = _Reader()
        return reader.settings(path, reader.document(path), environment), reader.faults


class _Reader:
    """Reads the valid part of a file, and collects the errors."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def attempt(self, section: str, default: T, read: Callable[..., T], *args: Any) -> T:
        """The result of ``read``. If it raises ``ConfigurationError``, notes the error and returns the
        default.
        """
        try:
            return read(*args)
        except ConfigurationError as error:
            self.faults.append(Fault(section=section, text=str(error)))
            return default

    def document(self, path: str) -> dict[str, Any]:
        """The whole file; empty if it is invalid."""
        nothing: dict[str, Any] = {}
        return self.attempt("", nothing, _document, path)

    def known(self, what: str, section: str, given: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
        """The entries with known names."""
        for name in given:
            self.attempt(section, None, refuse_unknown, what, {name: None}, names)
        return {name: value for name, value in given.items() if name in names}

    def settings(self, path: str, given: dict[str, Any], environment: Mapping[str, str]) -> Settings:
        """The sections of a file."""
        sections = self._sections(given, environment)
        service = self.known("key in [service]", "service", sections["service"], _service_keys())
        store_type, store = self._store(sections["store"])
        transport = self.known("key in [transport]", "transport", sections["transport"], _transport_keys())
        websocket = self.known("key in [websocket]", "websocket", sections["websocket"], _websocket_keys())
        lines = self.known("key in [lines]", "lines", sections["lines"], _line_keys())
        api = self.known("key in [api]", "api", sections["api"], _api_keys())
        webhooks = self.known("key in [webhooks]", "webhooks", sections["webhooks"], _webhook_keys())
        login = None
        if "login" in given:
            login = self.record(LoginSettings, "login", sections["login"])
        nothing: list[Any] = []
        rooms = self.attempt("rooms", nothing, _list, "rooms", given.get("rooms", []))
        records = [self.record(RoomSettings, "rooms", room) for room in rooms]
        return Settings(
            path=path,
            service=service,
            store_type=store_type,
            store_options=store,
            transport_options=transport,
            websocket_options=websocket if "websocket" in given else None,
            line_options=lines if "lines" in given else None,
            api_options=api,
            webhook_options=webhooks,
            login=login,
            rooms=tuple(record for record in records if record is not None),
            process=self.record(ProcessSettings, "process", sections["process"]) or ProcessSettings(),
        )

    def _sections(self, given: dict[str, Any], environment: Mapping[str, str]) -> dict[str, dict[str, Any]]:
        self.known("section", "sections", given, list(SECTIONS))
        sections: dict[str, dict[str, Any]] = {}
        for name in SECTIONS.keys() - {"rooms"}:
            nothing: dict[str, Any] = {}
            wanted = f"{name}: expected a section [{name}]"
            sections[name] = dict(self.attempt(name, nothing, _mapping, wanted, given.get(name, {})))
        for variable, (name, key) in SECRETS.items():
            # A secret alone does not configure a login.
            if environment.get(variable) and (name != "login" or "login" in given):
                sections[name][key] = environment[variable]
        for name in SECTIONS_OF_OPTIONS.keys() & sections["service"].keys():
            section = SECTIONS_OF_OPTIONS[name]
            text = f"[service] has no {name.removesuffix('_options')}: it has the section [{section}]"
            self.faults.append(Fault(section="service", text=text))
            del sections["service"][name]
        return sections

    def _store(self, given: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        kind = given.pop("type", "redis" if "url" in given else "memory")
        if kind not in STORES:
            self.attempt("store", None, check_choice, "[store] type", kind, STORES)
            return "memory", {}
        store = self.known("key in [store]", "store", given, _store_keys(kind))
        if "sentinels" in store:
            nothing: list[Any] = []
            items = self.attempt("store", nothing, _list, "[store] sentinels", store["sentinels"])
            store["sentinels"] = [_address(item) for item in items]
        return kind, store

    def record(self, kind: Callable[..., T], section: str, given: Any) -> T | None:
        """A dataclass of strings, numbers, flags and lists of strings, with type checks."""
        shown = "[[rooms]]" if section == "rooms" else f"[{section}]"
        before = len(self.faults)
        nothing: dict[str, Any] = {}
        entries = self.attempt(section, nothing, _mapping, f"{shown}: expected keys and values", given)
        known = {item.name: item for item in fields(kind)}  # type: ignore[arg-type]
        values = {}
        for name, value in self.known(f"key in {shown}", section, entries, list(known)).items():
            values[name] = self.attempt(
                section, None, _converted, f"{shown} {name}", value, str(known[name].type)
            )
        if len(self.faults) > before:
            # Further errors would be consequences of those already noted.
            return None
        missing = [name for name, item in known.items() if name not in values and item.default is MISSING]
        self.faults += [Fault(section=section, text=f"{shown} needs {name}") for name in missing]
        return None if missing else self.attempt(section, None, lambda: kind(**values))


def _document(path: str) -> dict[str, Any]:
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ConfigurationError(error.strerror or str(error)) from None
    try:
        # Editors on Windows write a byte order mark at the beginning.
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"a TOML file must be UTF-8, but this one has an invalid byte at position {error.start}"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(str(error)) from None


def _mapping(wanted: str, given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise ConfigurationError(f"{wanted}, got {given!r}")
    return given


def _service_keys() -> list[str]:
    return [item.name for item in fields(Options) if item.name not in SECTIONS_OF_OPTIONS]


def _store_keys(store_type: str) -> list[str]:
    if store_type == "memory":
        return ["lock_ttl"]
    from chat_service.stores.redis.redis_options import RedisOptions

    return [item.name for item in fields(RedisOptions)]


def _transport_keys() -> list[str]:
    from chat_service.transports.socketio.socketio_options import SocketIOOptions

    return [item.name for item in fields(SocketIOOptions) if item.name not in _OBJECTS]


def _websocket_keys() -> list[str]:
    from chat_service.transports.streams.websocket_transport import WebSocketOptions

    return [item.name for item in fields(WebSocketOptions)]


def _line_keys() -> list[str]:
    from chat_service.transports.streams.line_transport import LineOptions

    return [item.name for item in fields(LineOptions) if item.name not in _OBJECTS]


def _api_keys() -> list[str]:
    from chat_service.http_api.api_options import ApiOptions

    return [item.name for item in fields(ApiOptions)]


def _webhook_keys() -> list[str]:
    from chat_service.webhooks.webhook_options import WebhookOptions

    return [item.name for item in fields(WebhookOptions)]


def _converted(what: str, value: Any, annotation: str) -> Any:
    wanted: dict[str, tuple[str, Callable[[Any], bool]]] = {
        "tuple": (
            "a list of strings",
            lambda value: all(isinstance(item, str) for item in _list(what, value)),
        ),
        "str": ("a text", lambda value: isinstance(value, str) and bool(value)),
        "int": ("a whole number", lambda value: type(value) is int),
        "float": ("a number", lambda value: type(value) in (int, float)),
        "bool": ("true or false", lambda value: type(value) is bool),
    }
    kind = next(name for name in wanted if name in annotation)
    expected, is_good = wanted[kind]
    if not is_good(value):
        raise ConfigurationError(f"{what}: expected {expected}, got {value!r}")
    return tuple(value) if kind == "tuple" else value


def _list(what: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ConfigurationError(f"{what}: expected a list, got {value!r}")
    return value


def _address(item: Any) -> Any:
    """ "host:port" as a pair. Other values are left to the store to check."""
    if isinstance(item, str) and item.rpartition(":")[2].isdigit():
        host, _, port = item.rpartition(":")
        return host, int(port)
    return item
