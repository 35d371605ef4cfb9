"""Messages kept as JSON text: sent unchanged, and decoded only when their content is needed."""

import hashlib
import struct
from collections.abc import Iterator, Sequence
from typing import Any, overload

import orjson

from chat_service.types import Message

__all__ = ["EncodedMessages", "decode_text", "encode_text", "encoded_size"]


def encode_text(value: Any) -> bytes | None:
    """Encode a value as JSON in UTF-8. Returns None if JSON cannot represent it, as with binary values.

    ``value`` must have passed ``is_clean_value``, so that decoding restores it exactly.
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        return None


def encoded_size(value: Any) -> int:
    """The size of a value as JSON in bytes; a binary value counts with its length.

    ``value`` must have passed ``is_clean_value``.
    """
    text = encode_text(value)
    if text is not None:
        return len(text)
    sizes: list[int] = []

    def measure(binary: bytes | bytearray) -> str:
        sizes.append(len(binary))
        return ""

    return len(orjson.dumps(value, measure)) + sum(sizes)


def decode_text(text: bytes) -> Any:
    """Decode a JSON text. Raises ``ValueError``."""
    return orjson.loads(text)


class EncodedMessages(Sequence[Message]):
    """A list of messages built from their JSON texts. It behaves as a list of dicts, decoded on first use.

    A transport that sets ``takes_encoded`` receives it as a command's result and writes ``json`` into its
    packets. Other transports receive lists.
    """

    __slots__ = ("_decoded", "_json")

    def __init__(self, texts: Sequence[bytes]) -> None:
        """``texts``: each the text of a valid JSON object."""
        parts = [*texts] or [b""]
        # Adding the brackets to the joined text would copy it once more.
        parts[0] = b"[" + parts[0]
        parts[-1] += b"]"
        self._json = b",".join(parts)
        self._decoded: list[Message] | None = None

    @property
    def json(self) -> bytes:
        """The JSON text of the whole list."""
        return self._json

    def as_list(self) -> list[Message]:
        """The messages as dicts, the same ones on every call. Raises ``ValueError`` for an invalid text."""
        if self._decoded is None:
            self._decoded = orjson.loads(self._json)
        return self._decoded

    def __repr__(self) -> str:
        return f"EncodedMessages({self._json!r:.100})"

    def __len__(self) -> int:
        return len(self.as_list())

    @overload
    def __getitem__(self, index: int) -> Message: ...

    @overload
    def __getitem__(self, index: slice) -> list[Message]: ...

    def __getitem__(self, index: int | slice) -> Message | list[Message]:
        return self.as_list()[index]

    def __iter__(self) -> Iterator[Message]:
        return iter(self.as_list())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, EncodedMessages):
            other = other.as_list()
        return self.as_list() == other

    # Not hashable, as lists are not.
    __hash__ = None  # type: ignore[assignment]


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
