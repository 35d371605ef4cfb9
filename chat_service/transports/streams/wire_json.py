"""JSON of the plain protocols. Binary values are objects ``{"$base64": "…"}``."""

import base64
import binascii
from typing import Any, Final

import orjson

from chat_service.protocol.encoded import EncodedMessages
from chat_service.protocol.values import has_more_values

#: The only key of an object that stands for a binary value.
BINARY_KEY: Final = "$base64"


def write_json(value: Any) -> bytes:
    """JSON in UTF-8, on one line. ``value``: plain data, see ``is_clean_value``, or ``EncodedMessages``.

    Raises ``TypeError`` for anything else.
    """
    return orjson.dumps(value, _write_other)


def _write_other(value: Any) -> Any:
    if isinstance(value, EncodedMessages):
        return orjson.Fragment(value.json)
    if isinstance(value, bytes | bytearray):
        return {BINARY_KEY: base64.b64encode(value).decode()}
    raise TypeError


def read_json(text: str, max_values: int) -> Any:
    """The value of a text. Raises ``ValueError`` with a short text for the client.

    ``max_values``: maximum number of values in it.
    """
    if has_more_values(text, max_values):
        raise ValueError(f"more than {max_values} values")
    try:
        value = orjson.loads(text)
    except ValueError:
        raise ValueError("not JSON") from None
    if BINARY_KEY not in text and "\\u" not in text:
        return value
    # There may be such a key, perhaps escaped.
    try:
        return restore(value)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def restore(value: Any) -> Any:
    """Decode the binary values in a decoded value. Raises ``ValueError``."""
    if isinstance(value, list):
        return [restore(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1 and BINARY_KEY in value:
        try:
            return base64.b64decode(value[BINARY_KEY], validate=True)
        except (binascii.Error, TypeError, ValueError):
            raise ValueError(f"{BINARY_KEY} is not base64") from None
    return {key: restore(item) for key, item in value.items()}
