"""Options of the HTTP API (server-api.md, ``api_options``)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from chat_service.errors import ConfigurationError
from chat_service.http_api.api_tokens import Token, read_tokens, read_tokens_file
from chat_service.options import refuse_unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiOptions:
    """Options of the HTTP API. An invalid value raises ``ConfigurationError``, which shows no token."""

    #: Who may use the API: for each name the "token" and its "scopes" ("read", "write", "admin"), or a text
    #: of lines "name:scopes:token", such as "celery:write:…". The API is off without any token.
    tokens: Mapping[str, Any] | str = field(default_factory=dict, repr=False)
    #: A file of such lines; lines that begin with "#" are comments. It is read at the start.
    tokens_file: str | None = None
    #: Maximum bytes of a request's body.
    max_body_size: int = 1_000_000
    #: Time in seconds in which a request's body has to come.
    body_timeout: float = 30.0
    #: Maximum number of items of one answer: rooms, users, members, names or messages.
    max_page_size: int = 1000
    #: Bytes of messages after which an answer with a history ends; the rest is for the next request.
    max_answer_size: int = 4_000_000
    #: Maximum number of messages of one batch.
    max_batch_length: int = 1000
    #: Maximum number of requests that run at a time, streams aside.
    max_requests: int = 100
    #: Maximum number of event streams at a time.
    max_streams: int = 100
    #: Maximum number of events that wait for the reader of a stream; past it the stream ends.
    stream_buffer: int = 1000
    #: Time in seconds that the reader of a stream may take for one piece; past it the stream ends.
    stream_timeout: float = 15.0
    #: Time in seconds between two comments that keep a silent stream open.
    stream_heartbeat: float = 15.0
    #: Maximum number of wrong tokens per minute and address; past it the answer is 429.
    max_failures: int = 10

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            # The value may not match its declared type.
            if item.type is int:
                self._check(item.name, type(value) is int and value > 0, "a whole number, more than 0")
            elif item.type is float:
                is_time = type(value) in (int, float) and math.isfinite(value) and value > 0
                self._check(item.name, is_time, "seconds, more than 0")
        path: Any = self.tokens_file
        self._check("tokens_file", path is None or (isinstance(path, str) and bool(path)), "a path")
        self.known_tokens()

    def _check(self, name: str, is_good: bool, expected: str) -> None:
        if not is_good:
            raise ConfigurationError(f"api_options {name}: expected {expected}, got {getattr(self, name)!r}")

    @classmethod
    def from_mapping(cls, options: Mapping[str, Any]) -> "ApiOptions":
        """Create options from a mapping. An unknown name raises ``ConfigurationError``."""
        refuse_unknown("api_options", options, [item.name for item in fields(cls)])
        return cls(**options)

    def known_tokens(self) -> tuple[Token, ...]:
        """All tokens, of the option and of the file. Raises ``ConfigurationError``."""
        given = read_tokens(self.tokens)
        if self.tokens_file is not None:
            given += read_tokens_file(self.tokens_file)
        names = [token.name for token in given]
        for name in names:
            if names.count(name) > 1:
                raise ConfigurationError(f"api_options tokens: the name {name!r} occurs twice")
        return given
