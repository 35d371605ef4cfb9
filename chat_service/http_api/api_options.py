"""Options of the HTTP API (server-api.md, ``api_options``)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from chat_service.http_api.api_tokens import Token, read_tokens, read_tokens_file
from chat_service.option_group import OptionGroup, is_text


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiOptions(OptionGroup):
    """Options of the HTTP API. An invalid value raises ``ConfigurationError``, whose text contains no
    token.
    """

    group: ClassVar = "api_options"

    #: Tokens of the API: for each name a "token" and its "scopes" ("read", "write", "admin"), or a text
    #: of lines "name:scopes:token", such as "celery:write:…". Without a token, the API is off.
    tokens: Mapping[str, Any] | str = field(default_factory=dict, repr=False)
    #: A file with such lines; lines that begin with "#" are comments. It is read at the start.
    tokens_file: str | None = None
    #: Whether the console for operators is served, at ``/console`` below the API.
    console: bool = True
    #: Maximum bytes of a request's body.
    max_body_size: int = 1_000_000
    #: Maximum time in seconds to wait for a request's body.
    body_timeout: float = 30.0
    #: Maximum number of items in an answer: rooms, users, members, names or messages.
    max_page_size: int = 1000
    #: Maximum size in bytes of the messages in an answer with a history; the rest needs further requests.
    max_answer_size: int = 4_000_000
    #: Maximum number of messages in a batch.
    max_batch_length: int = 1000
    #: Maximum number of concurrent requests, not counting streams.
    max_requests: int = 100
    #: Maximum number of concurrent event streams.
    max_streams: int = 100
    #: Maximum number of events that wait for the reader of a stream; beyond it the stream ends.
    stream_buffer: int = 1000
    #: Maximum time in seconds for the reader of a stream to accept a piece; after that the stream ends.
    stream_timeout: float = 15.0
    #: Seconds between the comments that keep an idle stream open.
    stream_heartbeat: float = 15.0
    #: Maximum number of wrong tokens per minute and address; after that the answer is 429.
    max_failures: int = 10

    def __post_init__(self) -> None:
        self.check_numbers()
        self.check("console", isinstance(self.console, bool), "true or false")
        self.check("tokens_file", self.tokens_file is None or is_text(self.tokens_file), "a path")
        self.known_tokens()

    def known_tokens(self) -> tuple[Token, ...]:
        """All tokens from the option and the file. Raises ``ConfigurationError``."""
        given = read_tokens(self.tokens)
        if self.tokens_file is not None:
            given += read_tokens_file(self.tokens_file)
        names = [token.name for token in given]
        for name in names:
            if names.count(name) > 1:
                raise self.error(f"the name {name!r} occurs twice", "tokens")
        return given
