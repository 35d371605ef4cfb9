"""Writes settings as TOML: a file that means the same, with where each value comes from."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING
from typing import Any, Final

from chat_service.cli.option_keys import keys_of
from chat_service.cli.settings import Settings
from chat_service.redaction import redacted

#: The comment of values that nothing has set.
DEFAULT: Final = "default"


def as_toml(settings: Settings, *, shows_sources: bool = False) -> str:
    """An equivalent file, in which only the secrets are missing.

    ``shows_sources``: with a comment after each value: "file", the variable or option that sets it, or
    "default".
    """
    sources = settings.sources if shows_sources else None
    store = {"type": settings.store_type, **settings.store_options}
    sections: list[tuple[str, Mapping[str, Any] | None]] = [
        ("service", settings.service),
        ("store", store),
        ("transport", settings.transport_options),
        ("websocket", _of_stream(settings.websocket_dialect, settings.websocket_options)),
        ("lines", _of_stream(settings.line_dialect, settings.line_options)),
        ("actionhero", settings.actionhero_options),
        ("api", settings.api_options),
        ("webhooks", settings.webhook_options),
        ("uploads", settings.upload_options),
        ("login", _values("login", settings.login)),
        ("process", _values("process", settings.process)),
    ]
    blocks = []
    for section, given in sections:
        if given is not None:
            values = _values_of_store(store) if section == "store" else _with_defaults(section, given)
            blocks.append(_section(f"[{section}]", section, values, sources))
    for room in settings.rooms:
        values = _values("rooms", room) or {}
        blocks.append(_section("[[rooms]]", "rooms", values, sources))
    return "\n".join(blocks)


def _of_stream(dialect: str, options: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    return None if options is None else {"dialect": dialect, **options}


def _with_defaults(section: str, given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key.name: given.get(key.name, None if key.default is MISSING else key.default)
        for key in keys_of(section)
    }


def _values_of_store(store: Mapping[str, Any]) -> Mapping[str, Any]:
    return _with_defaults("store", store) if store["type"] == "redis" else store


def _values(section: str, record: Any) -> dict[str, Any] | None:
    return None if record is None else {key.name: getattr(record, key.name) for key in keys_of(section)}


def _section(
    head: str, section: str, values: Mapping[str, Any], sources: Mapping[tuple[str, str], str] | None
) -> str:
    return "".join([f"{head}\n", *_lines(section, values, sources)])


def _lines(
    section: str, values: Mapping[str, Any], sources: Mapping[tuple[str, str], str] | None
) -> Iterator[str]:
    for name, value in values.items():
        # TOML has no null.
        line = f"# {name} =" if value is None else f"{name} = {literal(redacted(name, value))}"
        if sources is not None:
            file = sources.get((section, ""), "file") if section == "rooms" else DEFAULT
            line += f"  # {sources.get((section, name), file)}"
        yield f"{line}\n"


def literal(value: Any) -> str:
    """Encode a value as TOML."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            return _quoted(value)
        case Mapping():
            inner = ", ".join(f"{_quoted(str(key))} = {literal(item)}" for key, item in value.items())
            return "{ " + inner + " }" if inner else "{}"
        case _:
            return "[" + ", ".join(map(literal, value)) + "]"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(each if each.isprintable() else _escape(each) for each in escaped) + '"'


def as_ascii(toml: str) -> str:
    """The same document in ASCII. Other characters only occur in quoted strings, which allow escapes."""
    return re.sub(r"[^\x00-\x7f]", lambda found: _escape(found[0]), toml)


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
