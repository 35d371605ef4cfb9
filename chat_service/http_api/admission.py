"""Checks tokens of the HTTP API, and logs one line per write and per wrong token."""

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from chat_service.errors import shorten
from chat_service.guesses import Failures
from chat_service.http_api.api_tokens import Token, find_token
from chat_service.http_api.exchange import ApiRequest
from chat_service.http_api.problems import ApiProblem
from chat_service.http_api.routing import Route

logger = logging.getLogger("chat_service")
#: One line for each request that writes, or that was refused.
audit_logger = logging.getLogger("chat_service.audit")

_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="chat-service"'}


class Admission:
    """Knows the tokens, and counts the wrong ones."""

    def __init__(self, tokens: Sequence[Token], max_failures: int) -> None:
        self._tokens = tokens
        self._failures = Failures(max_failures)

    @property
    def has_tokens(self) -> bool:
        """Whether the API has any tokens."""
        return bool(self._tokens)

    def token_of(self, request: ApiRequest, now: float) -> Token:
        """The token of a request. Raises 401, or 429 after too many wrong ones from the same address."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not given.strip():
            raise ApiProblem("unauthorized", "Send a token: Authorization: Bearer …", headers=_CHALLENGE)
        token = find_token(self._tokens, given.strip())
        if token is not None:
            return token
        count, rest = self._failures.note(request.peer, now)
        if not self._failures.is_over(count):
            logger.warning("HTTP API: a wrong token from %s", request.peer)
            raise ApiProblem("unauthorized", "The token is not known", headers=_CHALLENGE)
        if not self._failures.is_over(count - 1):
            logger.warning(
                "HTTP API: too many wrong tokens from %s: further ones are not logged", request.peer
            )
        raise ApiProblem(
            "tooManyRequests", "Too many wrong tokens", headers={"Retry-After": str(int(rest) + 1)}
        )

    def audit(self, route: Route, request: ApiRequest, token: Token) -> "Audit":
        """The audit line of a request, to be completed with its outcome."""
        return Audit(route, request, token)


class Audit:
    """The audit line of a request: token, request, address, outcome. Requests that only read have none."""

    def __init__(self, route: Route, request: ApiRequest, token: Token) -> None:
        self._route = route
        self._request = request
        self._token = token

    def end(self, status: int, notes: Mapping[str, Any] | None = None) -> None:
        """Write the line."""
        if not self._route.is_write:
            return
        said = "".join(f" {name}={_quoted(value)}" for name, value in (notes or {}).items())
        # The path is percent-encoded, so it contains neither spaces nor line breaks.
        path = shorten(self._request.path)
        audit_logger.info(
            "token=%s %s %s status=%s from=%s%s",
            _quoted(self._token.name),
            self._route.method,
            path if path.isprintable() else _quoted(path),
            status,
            self._request.peer,
            said,
        )


def _quoted(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    text = shorten(text)
    is_plain = text.isprintable() and text and not set(text) & set(' "=[]')
    return text if is_plain else json.dumps(text)
