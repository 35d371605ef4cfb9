"""Checks values against the JSON Schemas shown in the OpenAPI document, so that the two cannot differ.

It supports only the keywords that our schemas use. Patterns are not checked: the service checks names and
has its own error code for them.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from chat_service.protocol.values import is_clean_text

Schema = Mapping[str, Any]

_WHOLE = re.compile(r"-?[0-9]{1,16}")


def _is_whole(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    # As in JavaScript, 5.0 is accepted as 5. Comparisons with NaN are false.
    return -(2**53) < value < 2**53 and value == int(value)


def _is_number(value: Any) -> bool:
    # Without NaN, which is not equal to itself, and the infinities.
    return isinstance(value, int | float) and not isinstance(value, bool) and value - value == 0


_TYPES: Final[Mapping[str, tuple[Callable[[Any], bool], str]]] = {
    "array": (lambda value: isinstance(value, list), "an array"),
    "boolean": (lambda value: isinstance(value, bool), "true or false"),
    "integer": (_is_whole, "a whole number"),
    "null": (lambda value: value is None, "null"),
    "number": (_is_number, "a number"),
    "object": (lambda value: isinstance(value, dict), "an object"),
    "string": (lambda value: isinstance(value, str) and is_clean_text(value), "a text"),
}


def fault_of(value: Any, schema: Schema, where: str) -> str | None:
    """The error of a value, or None if it is valid. ``where``: its name for people."""
    kinds = schema.get("type")
    if kinds is not None:
        named = [kinds] if isinstance(kinds, str) else kinds
        if not any(_TYPES[kind][0](value) for kind in named):
            return f"{where}: expected {' or '.join(_TYPES[kind][1] for kind in named)}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{where}: expected {' or '.join(map(str, schema['enum']))}"
    if isinstance(value, str):
        return _length_fault(len(value), schema, where, "Length", "characters")
    if isinstance(value, list):
        return _length_fault(len(value), schema, where, "Items", "items") or _items_fault(
            value, schema, where
        )
    if isinstance(value, dict):
        return _object_fault(value, schema, where)
    if isinstance(value, int | float) and not isinstance(value, bool):
        lowest, highest = schema.get("minimum", value), schema.get("maximum", value)
        if not lowest <= value <= highest:
            return f"{where}: expected a number from {lowest} to {highest}"
    return None


def _length_fault(length: int, schema: Schema, where: str, keyword: str, what: str) -> str | None:
    lowest, highest = schema.get(f"min{keyword}", 0), schema.get(f"max{keyword}", length)
    if lowest <= length <= highest:
        return None
    return f"{where}: expected {lowest} to {highest} {what}, got {length}"


def _items_fault(value: list[Any], schema: Schema, where: str) -> str | None:
    items = schema.get("items", {})
    for position, item in enumerate(value):
        fault = fault_of(item, items, f"{where}[{position}]")
        if fault is not None:
            return fault
    return None


def _object_fault(value: dict[str, Any], schema: Schema, where: str) -> str | None:
    known: Mapping[str, Schema] = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            return f"{where}: {name} is missing"
    if len(value) < schema.get("minProperties", 0):
        return f"{where}: expected one or more of {', '.join(known)}"
    for name, item in value.items():
        if name in known:
            fault = fault_of(item, known[name], f"{where}.{name}")
            if fault is not None:
                return fault
        elif schema.get("additionalProperties") is False:
            return f"{where}: unknown field {name[:64]}; known are {', '.join(known)}"
    return None


def from_text(text: str, schema: Schema) -> Any:
    """The value that a text in a query represents; if it cannot be parsed, the text itself, for
    ``fault_of``.
    """
    kind = schema.get("type")
    if kind == "integer" and _WHOLE.fullmatch(text):
        return int(text)
    if kind == "boolean" and text in ("true", "false"):
        return text == "true"
    return text
