"""The head of a client's request, in the form that all carriers use."""

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

#: Separators for repeated headers; the default is a comma.
_SEPARATORS = {"cookie": "; "}
URI_TOO_LONG, HEADERS_TOO_LARGE = 414, 431


def join_headers(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by their names in lower case. Repeated headers are joined in their order."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name, value = raw_name.decode("latin-1").lower(), read_text(raw_value)
        if name in headers:
            headers[name] += separator(name) + value
        else:
            headers[name] = value
    return headers


def separator(name: str) -> str:
    """The separator between repeated values of this header."""
    return _SEPARATORS.get(name, ",")


def read_text(value: bytes) -> str:
    """Decode text of a request as UTF-8 or, failing that, as Latin-1 as in HTTP."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


class HeadLimits(NamedTuple):
    """Maximum sizes of the head of a request in bytes."""

    #: Method, path, query and version.
    request_line: int
    #: All headers together.
    headers: int

    def refusal(self, request_line: int, headers: int) -> int | None:
        """The error status for a request line and headers of these sizes, None if both are within the
        limits.
        """
        if request_line > self.request_line:
            return URI_TOO_LONG
        return HEADERS_TOO_LARGE if headers > self.headers else None


def size_of(pairs: Iterable[tuple[bytes | str, bytes | str]]) -> int:
    """The size of headers in bytes, including colon, space and line break."""
    return sum(len(name) + len(value) + 4 for name, value in pairs)


#: RFC 6455: the server's answer is computed from this and the client's key.
_KEY_SUFFIX = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_REQUEST_LINE = re.compile(r"([!#$%&'*+\-.^`|~0-9A-Za-z]+) ([!-~]+) HTTP/1\.1")
_HEADER = re.compile(r"([!#$%&'*+\-.^`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*")


class Opening:
    """The head of a request. ``query`` has the first value of each field, ``headers`` names in lower case."""

    __slots__ = (
        "headers",
        "is_proxy_believed",
        "method",
        "path",
        "query",
        "query_string",
        "remote_addr",
        "scheme",
    )

    def __init__(
        self,
        method: str,
        path: str,
        query_string: str,
        headers: Mapping[str, str],
        *,
        remote_addr: str | None = None,
        scheme: str = "http",
    ) -> None:
        self.method = method
        self.path = path
        self.query_string = query_string
        self.query = _read_query(query_string)
        self.headers = headers
        #: The peer's address; after ``Hub.identify``, the client's.
        self.remote_addr = remote_addr
        #: Whether the headers are trusted about the scheme and host.
        self.is_proxy_believed = True
        #: "http" or "https", for WebSockets too.
        self.scheme = scheme

    def environ(self) -> dict[str, Any]:
        """The same as a WSGI environ."""
        environ = {
            "REQUEST_METHOD": self.method,
            "PATH_INFO": self.path,
            "SCRIPT_NAME": "",
            "QUERY_STRING": self.query_string,
            "RAW_URI": f"{self.path}?{self.query_string}" if self.query_string else self.path,
            "SERVER_PROTOCOL": "HTTP/1.1",
            "SERVER_SOFTWARE": "chat_service",
            "REMOTE_ADDR": self.remote_addr or "",
            "wsgi.url_scheme": self.forwarded("proto") or self.scheme,
        }
        for name, value in self.headers.items():
            key = name.upper().replace("-", "_")
            environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
        return environ

    def forwarded(self, what: str) -> str | None:
        """A fact that a trusted proxy states about the request it received: "proto" or "host"."""
        return self.headers.get(f"x-forwarded-{what}") if self.is_proxy_believed else None

    # WebSockets

    @property
    def asks_for_websocket(self) -> bool:
        """Whether this is a valid WebSocket handshake (RFC 6455, section 4.2.1)."""
        headers = self.headers
        if (
            self.method != "GET"
            or headers.get("upgrade", "").lower() != "websocket"
            or headers.get("sec-websocket-version") != "13"
            or "host" not in headers
            or "upgrade" not in split_list(headers.get("connection", "").lower())
        ):
            return False
        try:
            return len(base64.b64decode(headers.get("sec-websocket-key", ""), validate=True)) == 16
        except ValueError:
            # Also for characters beyond ASCII.
            return False

    def accept(self, *extra: tuple[str, str]) -> bytes:
        """The response that opens a WebSocket, with additional headers."""
        key = self.headers["sec-websocket-key"].encode()
        # Required by RFC 6455; it does not protect any secret.
        digest = hashlib.sha1(key + _KEY_SUFFIX, usedforsecurity=False).digest()
        lines = [f"{name}: {value}\r\n" for name, value in extra]
        return b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" + (
            f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}\r\n{''.join(lines)}\r\n".encode()
        )

    @property
    def protocols(self) -> list[str]:
        """The sub-protocols that the client offers, in order of preference."""
        return split_list(self.headers.get("sec-websocket-protocol", ""))


def split_list(value: str) -> list[str]:
    """The items of a comma-separated header."""
    return [item for part in value.split(",") if (item := part.strip())]


def _read_query(text: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    if "%" in text or "+" in text or ";" in text:
        for name, value in parse_qsl(text, keep_blank_values=True):
            fields.setdefault(name, value)
    elif text:
        for field in text.split("&"):
            name, _, value = field.partition("=")
            if field:
                fields.setdefault(name, value)
    return fields


def read_head(head: bytes) -> Opening | None:
    """Parse the head of a request, without the empty line at its end. None if it is not clearly valid."""
    first, *lines = head.decode("latin-1").split("\r\n")
    request_line = _REQUEST_LINE.fullmatch(first)
    if request_line is None:
        return None
    path, _, query_string = request_line[2].partition("?")
    headers: dict[str, str] = {}
    for line in lines:
        match = _HEADER.fullmatch(line)
        if match is None:
            return None
        name, value = match[1].lower(), match[2]
        if not value.isascii():
            value = read_text(value.encode("latin-1"))
        headers[name] = headers[name] + separator(name) + value if name in headers else value
    return Opening(request_line[1], path, query_string, headers)
