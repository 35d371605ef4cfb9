"""Digests of messages: equal for equal messages, however they were encoded on the way."""

import hashlib
import struct
from typing import Any


def digest(value: Any) -> bytes:
    """The SHA-256 of plain data (see ``is_clean_value``) in a canonical form.

    Keys of mappings are sorted, binary values count by their bytes, and numbers by their value: 5 and 5.0 are
    the same, as they are for JavaScript.
    """
    parts: list[bytes] = []
    _write(value, parts.append)
    return hashlib.sha256(b"".join(parts)).digest()


def _write(value: Any, add: Any) -> None:
    """Every form begins with a type, and that of a text or list with its length, so that no two are equal."""
    if isinstance(value, str):
        encoded = value.encode("utf-8")
        add(b"s%d:" % len(encoded))
        add(encoded)
    elif value is None:
        add(b"n")
    elif isinstance(value, bool):
        add(b"t" if value else b"f")
    elif isinstance(value, float) and not value.is_integer():
        add(b"d" + struct.pack(">d", value))
    elif isinstance(value, int | float):
        add(b"i%d;" % int(value))
    elif isinstance(value, bytes | bytearray):
        add(b"b%d:" % len(value))
        add(bytes(value))
    elif isinstance(value, list | tuple):
        add(b"l%d:" % len(value))
        for item in value:
            _write(item, add)
    else:
        add(b"m%d:" % len(value))
        for key in sorted(value):
            _write(key, add)
            _write(value[key], add)
