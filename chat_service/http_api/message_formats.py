"""The application's message formats in the OpenAPI document, if its checkers can tell them as JSON Schema."""

from collections.abc import Mapping
from typing import Any, Final

from chat_service.http_api.schemas import MESSAGE

#: The components of the document that hold the formats, by the checker and the beginning of the paths.
_COMPONENTS: Final = {
    "room_messages_checker": ("RoomMessage", ("/rooms/", "/batch")),
    "direct_messages_checker": ("DirectMessage", ("/users/",)),
}


def add_formats(document: dict[str, Any], checkers: Mapping[str, object]) -> None:
    """Put the formats of checkers with a method ``json_schema`` into a document.

    ``MessageSchema`` is such a checker. Messages that are published through the API refer to the format.
    """
    for name, (component, beginnings) in _COMPONENTS.items():
        make = getattr(checkers.get(name), "json_schema", None)
        if not callable(make):
            continue
        here = f"#/components/schemas/{component}"
        document["components"]["schemas"][component] = make(ref_template=here + "/$defs/{model}")
        for path, operations in document["paths"].items():
            if path.startswith(beginnings):
                operations.update(_referring(operations, {"$ref": here}))


def _referring(schema: Any, reference: dict[str, str]) -> Any:
    """A part of the document in which ``reference`` stands for messages of any format."""
    if schema == MESSAGE:
        return reference
    if isinstance(schema, dict):
        return {name: _referring(value, reference) for name, value in schema.items()}
    if isinstance(schema, list):
        return [_referring(value, reference) for value in schema]
    return schema
