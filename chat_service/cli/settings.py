"""The file of ``serve``: a service with its store, transport, logins and rooms, in TOML."""

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from chat_service.errors import ConfigurationError
from chat_service.options import Options, refuse_unknown

#: Secrets that need not stand in the file, by the variables that replace them.
SECRETS: Final = {
    "CHAT_STORE_URL": ("store", "url"),
    "CHAT_STORE_BUS_SECRET": ("store", "bus_secret"),
    "CHAT_STORE_SENTINEL_PASSWORD": ("store", "sentinel_password"),
    "CHAT_LOGIN_SECRET": ("login", "secret"),
}
#: Options that are sections of their own here.
_SECTIONS_OF_OPTIONS: Final = frozenset({"store", "store_options", "transport", "transport_options"})
#: Options of the transport that are objects of Python.
_OBJECTS: Final = frozenset({"app", "server", "middleware"})

STORES: Final = ("memory", "redis")
LOG_LEVELS: Final = ("debug", "info", "warning", "error")
LOG_FORMATS: Final = ("text", "json")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSettings:
    """The section ``[process]``."""

    #: Processes that share the port, 1 or more. More than one needs Redis and WebSocket alone.
    workers: int = 1
    #: The least important messages that are logged: "debug", "info", "warning" or "error".
    log_level: str = "info"
    #: "text", or "json" with one object per line.
    log_format: str = "text"

    def __post_init__(self) -> None:
        workers: Any = self.workers
        if type(workers) is not int or workers < 1:
            raise ConfigurationError(f"[process] workers: expected a whole number from 1, got {workers!r}")
        _check_choice("[process] log_level", self.log_level, LOG_LEVELS)
        _check_choice("[process] log_format", self.log_format, LOG_FORMATS)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginSettings:
    """The section ``[login]``: how sockets get their users."""

    #: "jwt": a signed token names the user. "name": the client's word is taken for it, for trials only.
    type: str
    #: Where the token or the name is in the handshake: a field of "auth", or of the "query".
    source: str = "auth"
    #: Name of that field.  [default: "token" for jwt, "userName" for name]
    field: str | None = None
    #: jwt: the key of HMAC signatures (HS256, …).
    secret: str | None = None
    #: jwt: a PEM file with the public key of RSA, EC or Ed25519 signatures.
    public_key_file: str | None = None
    #: jwt: signature algorithms that are accepted.
    algorithms: tuple[str, ...] = ("HS256",)
    #: jwt: the claim that names the user.
    user_claim: str = "sub"
    #: jwt: who tokens have to be for.
    audience: str | None = None
    #: jwt: who tokens have to be from.
    issuer: str | None = None
    #: jwt: seconds that clocks may differ.
    leeway: float = 0.0

    def __post_init__(self) -> None:
        _check_choice("[login] type", self.type, ("jwt", "name"))
        _check_choice("[login] source", self.source, ("auth", "query"))
        if self.type == "jwt" and (self.secret is None) == (self.public_key_file is None):
            raise ConfigurationError("[login] jwt needs either secret or public_key_file")
        if self.type == "name":
            for item in fields(self):
                if item.name not in ("type", "source", "field") and getattr(self, item.name) != item.default:
                    raise ConfigurationError(f'[login] {item.name} is for type = "jwt"')

    @property
    def field_name(self) -> str:
        """The field of the handshake."""
        return self.field or ("token" if self.type == "jwt" else "userName")


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomSettings:
    """One ``[[rooms]]``: a room that is made at the start when it is not there. See ``add_room``."""

    name: str
    owner: str | None = None
    whitelist: tuple[str, ...] = ()
    blacklist: tuple[str, ...] = ()
    adminlist: tuple[str, ...] = ()
    whitelist_only: bool = False
    #: The option of the service when it is not given; so with the next two.
    history_max_size: int | None = None
    enable_access_lists_updates: bool | None = None
    enable_userlist_updates: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a file says. ``service`` and the options of store and transport are checked when they are used."""

    path: str
    service: Mapping[str, Any] = field(default_factory=dict)
    store_type: str = "memory"
    store_options: Mapping[str, Any] = field(default_factory=dict)
    transport_options: Mapping[str, Any] = field(default_factory=dict)
    login: LoginSettings | None = None
    rooms: tuple[RoomSettings, ...] = ()
    process: ProcessSettings = field(default_factory=ProcessSettings)

    @classmethod
    def read(cls, path: str, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read a file, and secrets from the environment.

        Raises ``ConfigurationError`` with the path, and what is wrong where; an unknown key is refused, with
        the nearest known one.
        """
        try:
            given = tomllib.loads(Path(path).read_text("utf-8"))
        except OSError as error:
            raise ConfigurationError(f"{path}: {error.strerror}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{path}: {error}") from None
        try:
            return cls._from_mapping(path, given, environment)
        except ConfigurationError as error:
            raise ConfigurationError(f"{path}: {error}") from None

    @classmethod
    def _from_mapping(cls, path: str, given: Mapping[str, Any], environment: Mapping[str, str]) -> "Settings":
        refuse_unknown("section", given, list(SECTIONS))
        sections: dict[str, dict[str, Any]] = {}
        for name in ("service", "store", "transport", "login", "process"):
            section = given.get(name, {})
            if not isinstance(section, dict):
                raise ConfigurationError(f"{name}: expected a section [{name}], got {section!r}")
            sections[name] = dict(section)
        for variable, (name, key) in SECRETS.items():
            # A secret alone makes no login.
            if environment.get(variable) and (name != "login" or "login" in given):
                sections[name][key] = environment[variable]
        _refuse_moved(sections["service"])
        refuse_unknown("key in [service]", sections["service"], _service_keys())
        store = sections["store"]
        store_type = store.pop("type", "redis" if "url" in store else "memory")
        _check_choice("[store] type", store_type, STORES)
        refuse_unknown("key in [store]", store, _store_keys(store_type))
        if "sentinels" in store:
            store["sentinels"] = [_address(item) for item in _list("[store] sentinels", store["sentinels"])]
        refuse_unknown("key in [transport]", sections["transport"], _transport_keys())
        login = _record(LoginSettings, "[login]", sections["login"]) if "login" in given else None
        rooms = _list("rooms", given.get("rooms", []))
        return cls(
            path=path,
            service=sections["service"],
            store_type=store_type,
            store_options=store,
            transport_options=sections["transport"],
            login=login,
            rooms=tuple(_record(RoomSettings, "[[rooms]]", room) for room in rooms),
            process=_record(ProcessSettings, "[process]", sections["process"]),
        )


#: The sections, each with where its keys come from.
SECTIONS: Final[Mapping[str, str]] = {
    "service": "Options of the service.",
    "store": "Where state lives: `type`, and the options of that store.",
    "transport": "Options of the Socket.IO transport.",
    "login": "How sockets get their users.",
    "rooms": "Rooms that are made at the start.",
    "process": "The processes, and what they log.",
}


def _service_keys() -> list[str]:
    return [item.name for item in fields(Options) if item.name not in _SECTIONS_OF_OPTIONS]


def _store_keys(store_type: str) -> list[str]:
    if store_type == "memory":
        return ["lock_ttl"]
    from chat_service.stores.redis.options import RedisOptions

    return [item.name for item in fields(RedisOptions)]


def _transport_keys() -> list[str]:
    from chat_service.transports.socketio.options import SocketIOOptions

    return [item.name for item in fields(SocketIOOptions) if item.name not in _OBJECTS]


def _refuse_moved(service: Mapping[str, Any]) -> None:
    for name in ("store", "transport"):
        if name in service or f"{name}_options" in service:
            raise ConfigurationError(f"[service] has no {name}: it has the section [{name}]")


def _record(kind: Callable[..., Any], section: str, given: Any) -> Any:
    """A dataclass of texts, numbers, flags and lists of texts, whose types are checked."""
    if not isinstance(given, dict):
        raise ConfigurationError(f"{section}: expected keys and values, got {given!r}")
    known = {item.name: item for item in fields(kind)}  # type: ignore[arg-type]
    refuse_unknown(f"key in {section}", given, list(known))
    values = {}
    for name, value in given.items():
        values[name] = _converted(f"{section} {name}", value, str(known[name].type))
    for name, item in known.items():
        if name not in values and item.default is MISSING:
            raise ConfigurationError(f"{section} needs {name}")
    return kind(**values)


def _converted(what: str, value: Any, annotation: str) -> Any:
    wanted: dict[str, tuple[str, Callable[[Any], bool]]] = {
        "tuple": ("a list of texts", lambda value: all(isinstance(item, str) for item in _list(what, value))),
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


def _check_choice(what: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigurationError(f"{what}: expected {' or '.join(map(repr, choices))}, got {value!r}")


def _address(item: Any) -> Any:
    """ "host:port" as a pair; what else it is, the store checks."""
    if isinstance(item, str) and item.rpartition(":")[2].isdigit():
        host, _, port = item.rpartition(":")
        return host, int(port)
    return item
