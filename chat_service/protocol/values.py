"""Checks of arbitrary values from the network."""

from typing import Any

#: Maximum nesting depth of values that server code sends.
MAX_DEPTH = 128
#: The key that marks a placeholder for a binary value in Socket.IO packets.
PLACEHOLDER = "_placeholder"
MAX_INTEGER = 2**63 - 1
MIN_INTEGER = -(2**63)
INFINITY = float("inf")
#: The classes of plain data.
_KINDS: dict[type[Any], None] = dict.fromkeys(
    (str, bool, int, list, tuple, dict, float, bytes, bytearray, type(None))
)


def is_clean_text(text: str) -> bool:
    """Whether a string can be encoded as UTF-8, that is, has no unpaired surrogates."""
    if text.isascii():
        return True
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def is_clean_value(value: Any, depth_limit: int) -> bool:
    """Whether a value is plain data that every client and store can handle.

    Plain data is None, booleans, finite floats, 64-bit integers, strings without unpaired surrogates, bytes,
    and lists and string-keyed mappings of these, nested up to ``depth_limit``. A mapping that looks like the
    placeholder of a binary value is refused because it makes Socket.IO clients disconnect.
    """
    return count_binary(value, depth_limit) is not None


def count_binary(value: Any, depth_limit: int) -> int | None:
    """The number of binary values in plain data, None for other values (see ``is_clean_value``)."""
    found = 0
    # By levels, so that input cannot exhaust Python's recursion limit, and without an object or a call per
    # item: a message may have tens of thousands.
    level: list[Any] = [value]
    depth = depth_limit
    while level:
        below: list[Any] = []
        keys: list[Any] = []
        for item in level:
            kind = item.__class__
            if kind not in _KINDS:
                kind = _plain_class(item)
            if kind is str:
                if not (item.isascii() or is_clean_text(item)):
                    return None
            elif kind is int:
                if not MIN_INTEGER <= item <= MAX_INTEGER:
                    return None
            elif kind is list or kind is tuple:
                if depth <= 0:
                    return None
                below += item
            elif kind is dict:
                if depth <= 0:
                    return None
                if item:
                    if item.get(PLACEHOLDER) is True:
                        return None
                    keys += item
                    below += item.values()
            elif kind is float:
                # Not for NaN and infinities.
                if not -INFINITY < item < INFINITY:
                    return None
            elif kind is bytes or kind is bytearray:
                found += 1
            elif kind is None:
                return None
        if keys and not _are_clean_keys(keys):
            return None
        level = below
        depth -= 1
    return found


def _plain_class(item: Any) -> type[Any] | None:
    """The class of plain data that the class of an item is derived from, None if there is none."""
    return next((kind for kind in _KINDS if isinstance(item, kind)), None)


def _are_clean_keys(keys: list[Any]) -> bool:
    try:
        return is_clean_text("".join(keys))
    except TypeError:
        # A key that is not a text.
        return False


def has_more_values(text: str, limit: int) -> bool:
    """Whether JSON contains more values than ``limit``, found without decoding it.

    Decoding and checking take about a microsecond per value, on the event loop. An empty array or object
    counts as two values.
    """
    if len(text) <= limit or _separators(text) < limit:
        return False
    # Separators inside strings do not count.
    if "\\" in text:
        text = text.replace("\\\\", "").replace('\\"', "")
    if text.count('"') > 4 * limit:
        # A value has two strings at most: itself and its key.
        return True
    return _separators("".join(text.split('"')[::2])) >= limit


def _separators(text: str) -> int:
    """The number of characters before values; the first value of all has none."""
    return text.count(",") + text.count("[") + text.count("{")
