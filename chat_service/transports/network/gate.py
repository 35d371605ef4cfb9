"""Which requests are let in: their heads, the hosts they name, and the origins of their pages."""

import http
import json

from chat_service.transports.network.admissions import OF_ADDRESS, REASONS
from chat_service.transports.network.opening import URI_TOO_LONG, HeadLimits, Opening, size_of
from chat_service.transports.network.origins import OPAQUE, AllowedHosts, AllowedOrigins, own_origins
from chat_service.transports.network.proxies import TrustedProxies

TEXT = "text/plain; charset=UTF-8"
#: The Engine.IO error for a client that is refused.
FORBIDDEN = 4


class Refusal(Exception):
    """A request is refused. ``status``: of the answer; ``code``: of the Engine.IO error, if any."""

    def __init__(
        self, status: int, message: str, code: int | None = None, *, ends_connection: bool = False
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        #: Whether to stop reading from the client.
        self.ends_connection = ends_connection

    @property
    def body(self) -> bytes:
        """The text for the client."""
        told = {"message": str(self)} if self.code is None else {"code": self.code, "message": str(self)}
        return json.dumps(told).encode()


class TooManyConnections(Refusal):
    """A connection is beyond a limit. ``reason``: a key of ``REASONS``."""

    def __init__(self, reason: str) -> None:
        status = 429 if reason in OF_ADDRESS else 503
        super().__init__(status, REASONS[reason], FORBIDDEN, ends_connection=True)

    def response(self) -> bytes:
        """The whole answer, for a connection that is not handled by an HTTP server."""
        phrase = http.HTTPStatus(self.status).phrase
        head = f"HTTP/1.1 {self.status} {phrase}\r\nContent-Type: application/json\r\n"
        return f"{head}Content-Length: {len(self.body)}\r\nConnection: close\r\n\r\n".encode() + self.body


class Answer:
    """The answer to a request. ``ends_connection``: whether the connection is closed after it."""

    __slots__ = ("body", "content_type", "ends_connection", "headers", "status")

    def __init__(
        self, status: int, body: bytes, content_type: str = TEXT, *, ends_connection: bool = False
    ) -> None:
        self.status = status
        self.body = body
        self.content_type = content_type
        self.headers: list[tuple[str, str]] = []
        self.ends_connection = ends_connection


def refuse(refusal: Refusal) -> Answer:
    """The answer to a refused request."""
    return Answer(refusal.status, refusal.body, "application/json", ends_connection=refusal.ends_connection)


def bad_request(message: str = "Bad request") -> Refusal:
    return Refusal(400, message, 3)


class Gate:
    """Checks requests before anything is done with them."""

    def __init__(
        self,
        *,
        origins: AllowedOrigins,
        hosts: AllowedHosts,
        limits: HeadLimits,
        proxies: TrustedProxies | None,
    ) -> None:
        self.origins = origins
        self._hosts = hosts
        self._limits = limits
        self._proxies = proxies

    def identify(self, opening: Opening) -> None:
        """Determine the client's address of a request. Must be called first."""
        if self._proxies is not None:
            peer = opening.remote_addr
            opening.is_proxy_believed = self._proxies.trusts(peer)
            opening.remote_addr = self._proxies.address_of(peer, opening.headers)

    def check_head(self, opening: Opening) -> None:
        """Raise ``Refusal`` if the head of a request is too long."""
        line = len(opening.path) + len(opening.query_string)
        status = self._limits.refusal(line, size_of(opening.headers.items()))
        if status is not None:
            raise Refusal(
                status,
                "the request line is too long" if status == URI_TOO_LONG else "the headers are too large",
                ends_connection=True,
            )

    def check_host(self, opening: Opening) -> None:
        """Raise ``Refusal`` if the request names a host that is not allowed."""
        headers = opening.headers
        if not self._hosts.allows(headers.get("host"), headers.get("x-forwarded-host")):
            raise bad_request("the host is not allowed")

    def check_origin(self, opening: Opening) -> None:
        """Raise ``Refusal`` if the request's origin may not connect."""
        if "origin" in opening.headers and not self.allows_origin(opening):
            raise bad_request("the origin is not allowed")

    def allows_origin(self, opening: Opening) -> bool:
        """Whether the request's origin may connect."""
        headers = opening.headers
        own = own_origins(
            opening.scheme,
            headers.get("host"),
            opening.forwarded("proto"),
            opening.forwarded("host"),
        )
        return self.origins.allows(headers.get("origin", ""), own)

    def cors_headers(self, opening: Opening) -> list[tuple[str, str]]:
        """The headers that allow a page to read the answer."""
        found: list[tuple[str, str]] = []
        headers = opening.headers
        if "origin" in headers and self.allows_origin(opening):
            if self.origins.allows_all:
                # With "*", no page may use the credentials of its visitors.
                found.append(("Access-Control-Allow-Origin", "*"))
            else:
                found.append(("Access-Control-Allow-Origin", headers["origin"]))
                if headers["origin"] != OPAQUE:
                    found.append(("Access-Control-Allow-Credentials", "true"))
                found.append(("Vary", "Origin"))
            if opening.method == "OPTIONS":
                found.append(("Access-Control-Allow-Methods", "OPTIONS, GET, POST"))
                asked = headers.get("access-control-request-headers")
                if asked is not None:
                    found.append(("Access-Control-Allow-Headers", asked))
        return found
