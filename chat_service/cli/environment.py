"""Options from environment variables: their values are read and converted by pydantic-settings."""

import difflib
import json
import re
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Union, get_args, get_origin

from chat_service.cli.option_keys import NONE, PREFIX, ROOMS_VARIABLE, Key, all_keys
from chat_service.cli.sections import SECRETS, SECTIONS
from chat_service.errors import ConfigurationError
from chat_service.redaction import HIDDEN, redacted

#: A variable that sets a key, or means to.
_OURS: Final = re.compile(rf"{PREFIX}[A-Z]+__\w*")
NO_LIBRARY: Final = "options in environment variables need pydantic-settings: pip install '.[cli]'; unset "


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The content of the variables. ``values``: by section and key. ``variables``: their sources."""

    values: Mapping[tuple[str, str], Any] = field(default_factory=dict)
    variables: Mapping[tuple[str, str], str] = field(default_factory=dict)
    #: Rooms as in the file, None if they are not set.
    rooms: list[Any] | None = None
    #: The section and the text of each error; the texts name the variables.
    errors: Sequence[tuple[str, str]] = ()


def has_options(environment: Mapping[str, str]) -> bool:
    """Whether a variable sets an option, apart from the short variables of secrets."""
    return any(_is_option(name, text) for name, text in environment.items())


def _is_option(name: str, text: str) -> bool:
    # Compose passes variables that nobody has set as empty ones.
    return bool(text) and (name == ROOMS_VARIABLE or _OURS.fullmatch(name) is not None)


def read_environment(environment: Mapping[str, str]) -> Environment:
    """Read all variables. Empty ones count as not set."""
    # A secret has a short name, too, which needs no library. The long one wins.
    variables = {key: name for name, key in SECRETS.items() if environment.get(name)}
    values: dict[tuple[str, str], Any] = {key: environment[name] for key, name in variables.items()}
    given = {name: text for name, text in environment.items() if _is_option(name, text)}
    if not given:
        return Environment(values=values, variables=variables)
    errors = [("environment", text) for text in _unknown(given)]
    try:
        found, more = _converted(given)
    except ImportError:
        return Environment(errors=[("environment", NO_LIBRARY + ", ".join(given))])
    for section, entries in found.items():
        for name, value in entries.items():
            key = all_keys()[f"{PREFIX}{section}__{name}".upper()]
            values[section, name] = value
            variables[section, name] = key.variable
    rooms = None
    if ROOMS_VARIABLE in given:
        try:
            rooms = _rooms(given[ROOMS_VARIABLE])
        except ValueError as error:
            more.append(("rooms", f"{ROOMS_VARIABLE}: expected names or a JSON list of tables: {error}"))
    return Environment(values=values, variables=variables, rooms=rooms, errors=errors + more)


def _unknown(given: Mapping[str, str]) -> list[str]:
    """The errors about variables that set nothing."""
    known = all_keys()
    found = []
    for name in given:
        if name not in known and name != ROOMS_VARIABLE:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            found.append(f"unknown environment variable {name}{hint}")
    return found


def _rooms(text: str) -> list[Any]:
    if text.lstrip().startswith("["):
        items = json.loads(text)
        return [{"name": item} if isinstance(item, str) else item for item in items]
    return [{"name": name.strip()} for name in text.split(",") if name.strip()]


def _converted(given: Mapping[str, str]) -> tuple[dict[str, dict[str, Any]], list[tuple[str, str]]]:
    """The values by section and key, and errors. Raises ``ImportError`` without pydantic-settings."""
    from pydantic import ConfigDict, ValidationError, create_model
    from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

    known = {name: key for name, key in all_keys().items() if name in given}
    models: dict[str, Any] = {}
    for section in SECTIONS:
        entries: dict[str, Any] = {
            key.name: (_annotation(key), None) for key in known.values() if key.section == section
        }
        if entries:
            models[section] = create_model(section, __config__=ConfigDict(extra="ignore"), **entries)

    class Source(EnvSettingsSource):
        """Reads the given variables instead of those of the process."""

        def _load_env_vars(self) -> Mapping[str, str | None]:
            return {name.lower(): text for name, text in given.items()}

    class Base(BaseSettings):
        model_config = SettingsConfigDict(
            env_prefix=PREFIX,
            env_nested_delimiter="__",
            env_nested_max_split=1,
            # The types of the keys decide how their texts are decoded.
            enable_decoding=False,
            extra="ignore",
        )

        @classmethod
        def settings_customise_sources(cls, settings_cls: Any, *_: Any, **__: Any) -> Any:
            return (Source(settings_cls),)

    parts: dict[str, Any] = {name: (model, None) for name, model in models.items()}
    everything = create_model("Everything", __base__=Base, **parts)
    try:
        made = everything()
    except ValidationError as error:
        errors = dict(_error(known, given, item) for item in error.errors(include_url=False))
        # Without those at fault, the others are read.
        left = {name: text for name, text in given.items() if name not in errors}
        found, more = _converted(left)
        return found, [*errors.values(), *more]
    read: dict[str, Any] = {name: getattr(made, name) for name in models}
    return {name: part.model_dump(exclude_unset=True) for name, part in read.items()}, []


def _error(known: Mapping[str, Key], given: Mapping[str, str], item: Any) -> tuple[str, tuple[str, str]]:
    """The variable at fault, and the error of its section."""
    section, name = item["loc"][:2]
    key = next(each for each in known.values() if (each.section, each.name) == (section, name))
    why = item["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    text = f"{key.variable}: expected {why}, got {_shown(key, given[key.variable])}"
    return key.variable, (section, text)


def _shown(key: Key, text: str) -> str:
    """A value as errors may show it. Tables may have passwords anywhere."""
    value = redacted(key.name, text)
    is_table = any(_simple(each) is dict for each in _members(key.type) if each is not type(None))
    return "another value" if value == HIDDEN or is_table else repr(value)


def _members(annotation: Any) -> list[Any]:
    """The types of a union, or the type alone."""
    is_union = get_origin(annotation) in (Union, types.UnionType)
    return list(get_args(annotation)) if is_union else [annotation]


def _annotation(key: Key) -> Any:
    """The type for pydantic, with the conversion of the text before it."""
    from pydantic import BeforeValidator

    members = _members(key.type)
    may_be_none = type(None) in members
    kinds = {_simple(each) for each in members if each is not type(None)}
    wanted: Any
    if dict in kinds:
        wanted = str | dict[str, Any] if str in kinds else dict[str, Any]
    elif list in kinds:
        wanted = str | list[Any] if str in kinds else list[Any]
    else:
        wanted = next(kind for kind in (bool, int, float, str) if kind in kinds)
    if may_be_none:
        wanted = wanted | None

    def convert(text: Any) -> Any:
        return _decoded(text, kinds, may_be_none)

    return Annotated[wanted, BeforeValidator(convert)]


def _simple(annotation: Any) -> type[Any]:
    """The simple type that values of an annotation have in TOML. ``Any``: a flag."""
    origin = get_origin(annotation) or annotation
    if origin is Any:
        return bool
    if origin is bytes:
        return str
    if not isinstance(origin, type):
        raise ConfigurationError(f"there is no variable for {annotation}")
    for simple in (bool, int, float, str):
        if issubclass(origin, simple):
            return simple
    return dict if issubclass(origin, Mapping) else list


def _decoded(text: Any, kinds: set[type[Any]], may_be_none: bool) -> Any:
    """A text as a value of one of the kinds, as far as pydantic does not convert it itself."""
    if not isinstance(text, str):
        return text
    if may_be_none and text.strip().lower() == NONE:
        return None
    start = text.lstrip()[:1]
    if (dict in kinds and start == "{") or (list in kinds and start == "["):
        try:
            return json.loads(text)
        except ValueError as error:
            raise ValueError(f"valid JSON: {error}") from None
    if dict in kinds and str not in kinds:
        raise ValueError("a JSON object")
    if list in kinds and (str not in kinds or "," in text):
        return [item.strip() for item in text.split(",") if item.strip()]
    return text
