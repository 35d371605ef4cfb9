"""Messages that are JSON already: sent as they are, and decoded only for who looks into them."""

from collections.abc import Iterator, Sequence
from typing import Any, overload

import orjson

from chat_service.types import Message

__all__ = ["EncodedMessages", "decode_text", "encode_text"]


def encode_text(value: Any) -> bytes | None:
    """A value as JSON text in UTF-8; None when there is something in it that JSON does not know, binary
    values above all.

    ``value``: checked (``is_clean_value``), so decoding gives the same values again.
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        return None


def decode_text(text: bytes) -> Any:
    """The value of a JSON text. Raises ``ValueError``."""
    return orjson.loads(text)


class EncodedMessages(Sequence[Message]):
    """A list of messages, made of their JSON texts. Behaves as a list of dicts that are decoded at first use.

    A transport that sets ``takes_encoded`` gets it as the result of a command, and writes ``json`` into
    its packets; all others get lists.
    """

    __slots__ = ("_decoded", "_json")

    def __init__(self, texts: Sequence[bytes]) -> None:
        """``texts``: of JSON objects, each valid."""
        parts = [*texts] or [b""]
        # Not around the whole, which would copy it once more.
        parts[0] = b"[" + parts[0]
        parts[-1] += b"]"
        self._json = b",".join(parts)
        self._decoded: list[Message] | None = None

    @property
    def json(self) -> bytes:
        """The JSON text of the whole list."""
        return self._json

    def as_list(self) -> list[Message]:
        """The messages as dicts. The same ones each time. Raises ``ValueError`` when a text was not valid."""
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

    # As lists: what can be changed has no hash.
    __hash__ = None  # type: ignore[assignment]
