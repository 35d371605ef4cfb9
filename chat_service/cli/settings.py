"""The configuration file of ``serve``: a service with its store, transport, logins and rooms, in TOML."""

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from chat_service.cli.environment import Environment, read_environment
from chat_service.cli.login_settings import LoginSettings
from chat_service.cli.option_keys import PREFIX, ROOMS_VARIABLE, SECTIONS_OF_OPTIONS, names_of
from chat_service.cli.sections import (
    DIALECTS,
    SECTIONS,
    SECTIONS_THAT_SWITCH_ON,
    ProcessSettings,
    RoomSettings,
    check_choice,
)
from chat_service.errors import ConfigurationError
from chat_service.option_group import refuse_unknown

T = TypeVar("T")

STORES: Final = ("memory", "redis")
#: Where a service without a file is configured.
ENVIRONMENT: Final = "environment"
#: The source of keys that the file sets.
FILE: Final = "file"
#: The source of options that the web chat needs, and that nobody has set.
PAGE: Final = "default of the page"
#: The sections by how the errors of their options begin.
_GROUPS: Final[Mapping[str, str]] = {
    "option": "service",
    "store_options": "store",
    "transport_options": "transport",
    "websocket_options": "websocket",
    "line_options": "lines",
    "ActionHero": "actionhero",
    "api_options": "api",
    "webhook_options": "webhooks",
}


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
    #: The protocols of their clients, from ``DIALECTS``.
    websocket_dialect: str = DIALECTS[0]
    line_dialect: str = DIALECTS[0]
    actionhero_options: Mapping[str, Any] = field(default_factory=dict)
    api_options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    webhook_options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    #: None: there are no uploads.
    upload_options: Mapping[str, Any] | None = field(default=None, repr=False)
    login: LoginSettings | None = None
    rooms: tuple[RoomSettings, ...] = ()
    process: ProcessSettings = field(default_factory=ProcessSettings)
    #: The source of each key: "file", a variable, or an option of the command line. Other keys have their
    #: defaults.
    sources: Mapping[tuple[str, str], str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: str | None, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read a file, if any, and the environment, whose variables override the file.

        Raises ``ConfigurationError`` with the path or the variable, and the first error. An unknown key is
        refused with a suggestion for the nearest known one.
        """
        settings, faults = cls.look(path, environment)
        if faults:
            raise ConfigurationError(settings.placed(faults[0].text, faults[0].section))
        return settings

    @classmethod
    def look(
        cls, path: str | None, environment: Mapping[str, str] = os.environ
    ) -> "tuple[Settings, list[Fault]]":
        """Like ``read``, but continues after an error: returns the valid part, and all errors."""
        reader = _Reader()
        document = {} if path is None else reader.document(path)
        return reader.settings(path or ENVIRONMENT, document, read_environment(environment)), reader.faults

    def overridden(
        self,
        *,
        host: str | None = None,
        port: int | None = None,
        lines_port: int | None = None,
        workers: int | None = None,
    ) -> "Settings":
        """The settings with options of the command line, which win; None is not given."""
        changed, sources = self, dict(self.sources)
        for name, value in (("host", host), ("port", port)):
            if value is not None:
                changed = replace(changed, service={**changed.service, name: value})
                sources["service", name] = f"--{name}"
        if lines_port is not None:
            changed = replace(changed, line_options={**(self.line_options or {}), "port": lines_port})
            sources["lines", "port"] = "--lines-port"
        if workers is not None:
            changed = replace(changed, process=replace(self.process, workers=workers))
            sources["process", "workers"] = "--workers"
        return replace(changed, sources=sources)

    def placed(self, text: str, section: str = "") -> str:
        """The text of an error with what is to be changed: the variable, or else the file."""
        section = section or _GROUPS.get(text.partition(" ")[0], "")
        at = [
            source
            for (of, key), source in self.sources.items()
            if source not in (FILE, PAGE) and of == section and re.search(rf"(?<!\w){key}(?!\w)", text)
        ]
        if section == ENVIRONMENT or text.startswith(PREFIX):
            # It names the variable already.
            return text
        return f"{', '.join(at) or self.path}: {text}"


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

    def settings(self, path: str, given: dict[str, Any], environment: Environment) -> Settings:
        """The sections of a file, with what the environment says."""
        self.faults += [Fault(section=section, text=text) for section, text in environment.errors]
        sections, sources = self._sections(given, environment)
        known = {
            name: self.known(f"key in [{name}]", name, sections.get(name, {}), names_of(name))
            for name in SECTIONS
            if name not in ("store", "login", "rooms", "process")
        }
        store_type, store = self._store(sections["store"])
        websocket_dialect, line_dialect = (
            self._dialect(name, known[name]) for name in ("websocket", "lines")
        )
        login = None
        if "login" in sections:
            login = self.record(LoginSettings, "login", sections["login"])
            if login is not None and login.has_page:
                from chat_service.demo.chat_page import PAGE_DEFAULTS

                for name in PAGE_DEFAULTS.keys() - known["service"].keys():
                    known["service"][name], sources["service", name] = PAGE_DEFAULTS[name], PAGE
        nothing: list[Any] = []
        rooms = self.attempt("rooms", nothing, _list, "rooms", given.get("rooms", []))
        if environment.rooms is not None:
            rooms, sources["rooms", ""] = environment.rooms, ROOMS_VARIABLE
        records = [self.record(RoomSettings, "rooms", room) for room in rooms]
        return Settings(
            path=path,
            service=known["service"],
            store_type=store_type,
            store_options=store,
            transport_options=known["transport"],
            websocket_options=known["websocket"] if "websocket" in sections else None,
            line_options=known["lines"] if "lines" in sections else None,
            websocket_dialect=websocket_dialect,
            line_dialect=line_dialect,
            actionhero_options=known["actionhero"],
            api_options=known["api"],
            webhook_options=known["webhooks"],
            upload_options=known["uploads"] if "uploads" in sections else None,
            login=login,
            rooms=tuple(record for record in records if record is not None),
            process=self.record(ProcessSettings, "process", sections["process"]) or ProcessSettings(),
            sources=sources,
        )

    def _sections(
        self, given: dict[str, Any], environment: Environment
    ) -> tuple[dict[str, dict[str, Any]], dict[tuple[str, str], str]]:
        """The sections that there are, and where their keys come from."""
        self.known("section", "sections", given, list(SECTIONS))
        sections: dict[str, dict[str, Any]] = {}
        for name in SECTIONS.keys() - {"rooms"}:
            nothing: dict[str, Any] = {}
            wanted = f"{name}: expected a section [{name}]"
            sections[name] = dict(self.attempt(name, nothing, _mapping, wanted, given.get(name, {})))
        sources = {(name, key): FILE for name, entries in sections.items() for key in entries}
        of_environment = list(environment.values)
        secrets = {"secret", "session_secret", "oidc_client_secret"}
        if "login" not in given and {key for name, key in of_environment if name == "login"} <= secrets:
            # A secret alone does not configure a login.
            of_environment = [(name, key) for name, key in of_environment if name != "login"]
        for name, key in of_environment:
            sections[name][key] = environment.values[name, key]
            sources[name, key] = environment.variables[name, key]
        for name in SECTIONS_THAT_SWITCH_ON:
            if name not in given and not any(of == name for of, _ in of_environment):
                del sections[name]
        for name in SECTIONS_OF_OPTIONS.keys() & sections["service"].keys():
            section = SECTIONS_OF_OPTIONS[name]
            text = f"[service] has no {name.removesuffix('_options')}: it has the section [{section}]"
            self.faults.append(Fault(section="service", text=text))
            del sections["service"][name]
        return sections, sources

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

    def _dialect(self, section: str, given: dict[str, Any]) -> str:
        dialect = given.pop("dialect", DIALECTS[0])
        if dialect in DIALECTS:
            return str(dialect)
        self.attempt(section, None, check_choice, f"[{section}] dialect", dialect, DIALECTS)
        return DIALECTS[0]

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


def _store_keys(store_type: str) -> list[str]:
    return ["lock_ttl"] if store_type == "memory" else [name for name in names_of("store") if name != "type"]


def _converted(what: str, value: Any, annotation: str) -> Any:
    if value is None and "None" in annotation:
        # From a variable; TOML has no null.
        return None
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
    if annotation.startswith("str | tuple") and isinstance(value, str):
        kind = "str"
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
