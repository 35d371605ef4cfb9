"""The head of a request, as every carrier hands it on: headers of one name, their encoding, and limits."""

from collections.abc import Iterable
from typing import NamedTuple

#: Between the values of headers with one name; a comma where nothing else is said.
_SEPARATORS = {"cookie": "; "}
URI_TOO_LONG, HEADERS_TOO_LARGE = 414, 431


def join_headers(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by their names in lower case. Several of one name become one, in their order."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name, value = raw_name.decode("latin-1").lower(), read_text(raw_value)
        if name in headers:
            headers[name] += separator(name) + value
        else:
            headers[name] = value
    return headers


def separator(name: str) -> str:
    """What stands between the values of several headers of this name."""
    return _SEPARATORS.get(name, ",")


def read_text(value: bytes) -> str:
    """Text of a request: UTF-8 if it is that, else Latin-1, as HTTP has it."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


class HeadLimits(NamedTuple):
    """How long the head of a request may be, in bytes."""

    #: Method, path, query and version.
    request_line: int
    #: All headers together.
    headers: int

    def refusal(self, request_line: int, headers: int) -> int | None:
        """The status for a request line and headers of these sizes, None when both are fine."""
        if request_line > self.request_line:
            return URI_TOO_LONG
        return HEADERS_TOO_LARGE if headers > self.headers else None


def size_of(pairs: Iterable[tuple[bytes | str, bytes | str]]) -> int:
    """The bytes of headers, with the colon, the space and the line break of each."""
    return sum(len(name) + len(value) + 4 for name, value in pairs)
