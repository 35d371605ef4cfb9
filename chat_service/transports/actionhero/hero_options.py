"""Options of ActionHero's dialect."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from chat_service.option_group import OptionGroup, is_text, refuse_unknown
from chat_service.transports.actionhero.hero_requests import MAX_VALUES
from chat_service.transports.actionhero.hero_texts import HERO_TEXTS
from chat_service.transports.actionhero.hero_views import payload_of

#: ``payload(room, message)``: the form in which clients get a message, from the message as it was stored.
Payload = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ActionHeroOptions(OptionGroup):
    """Options of the dialect. An invalid value raises ``ConfigurationError``."""

    group: ClassVar = "ActionHero dialect"

    #: The greeting of a new connection; None: no greeting.
    welcome_message: str | None = "Welcome to the chat_service api"
    #: Whether a connection that `on_connect` does not name is a guest: a user of its own, named by the id of
    #: the connection and forgotten with it.
    guests: bool = True
    #: Maximum number of values in the JSON of a line or frame.
    max_values: int = MAX_VALUES
    #: Maximum number of actions of a connection that run at a time; further ones are refused.
    simultaneous_actions: int = 5
    #: Maximum number of lasting parameters of a TCP connection.
    params_limit: int = 100
    #: Maximum size in bytes of these parameters, as JSON.
    params_size_limit: int = 64 * 1024
    #: Maximum number of members that `roomView` shows. Their count is exact in any case.
    members_limit: int = 1000
    #: The parameter of the query, or else the cookie, whose value is the fingerprint of a WebSocket.
    cookie_key: str = "sessionID"
    #: Texts of errors that replace those of ActionHero, by their names; `%s` is the room, parameter or verb.
    error_texts: Mapping[str, str] = field(default_factory=dict)
    #: `payload(room, message)` returns the form in which clients get a message.
    payload: Payload = payload_of

    def __post_init__(self) -> None:
        self.check(
            "welcome_message", self.welcome_message is None or is_text(self.welcome_message), "a text or None"
        )
        self.check("guests", type(self.guests) is bool, "True or False")
        self.check_count("a number", "simultaneous_actions", "params_limit", "members_limit", "max_values")
        self.check_count("a number of bytes", "params_size_limit")
        self.check("cookie_key", is_text(self.cookie_key), "a name")
        texts: Any = self.error_texts
        is_mapping = isinstance(texts, Mapping) and all(map(is_text, texts.values()))
        self.check("error_texts", is_mapping, "a mapping of names to texts")
        refuse_unknown("text of errors", texts, list(HERO_TEXTS))
        self.check("payload", callable(self.payload), "a function")
