"""ActionHero's dialect: what its clients send and are sent, on lines of TCP and on frames of Primus."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from chat_service.contracts.capabilities import CommandFacts
from chat_service.transports.actionhero.hero_decisions import End, HeroConnection, HeroLimits, Reply
from chat_service.transports.actionhero.hero_decisions import Run as Decided
from chat_service.transports.actionhero.hero_options import ActionHeroOptions
from chat_service.transports.actionhero.hero_requests import (
    AsksId,
    NotARequestError,
    Pong,
    Request,
    read_frame,
    read_line,
)
from chat_service.transports.actionhero.hero_texts import HeroTexts
from chat_service.transports.actionhero.hero_views import HERO_MESSAGE, HeroPayload, documentation
from chat_service.transports.streams.dialect import (
    EACH,
    Client,
    Close,
    Closing,
    Conversation,
    Each,
    LogIn,
    Run,
    Send,
    Steps,
)
from chat_service.transports.streams.wire_json import write_json

logger = logging.getLogger("chat_service")

#: Events of the service that the dialect has other words for, or none.
_UNTOLD: Final = frozenset({"loginConfirmed", "socketConnectEcho", "socketDisconnectEcho"})
_FOR_EACH: Final = frozenset({"loginRejected", "roomAccessRemoved", "roomJoinedEcho", "roomLeftEcho"})
#: The fields of a message that a hook hides from its recipient.
_HIDDEN: Final = frozenset({"id", "timestamp", "hidden"})

_BYE: Final = {"status": "Bye", "context": "api"}
_FINAL: Final = b'"primus::server::close"'
#: Reasons for which a client of Primus shall come back.
_RETURNABLE: Final = frozenset({"idle", "ping timeout"})


class ActionHeroDialect:
    """Speaks with ``actionhero-client`` and telnet over TCP. A ``Dialect``."""

    name = "socket"
    subprotocols: Sequence[str] = ()

    def __init__(self, **options: Any) -> None:
        """``options``: as in ``ActionHeroOptions``. An invalid one raises ``ConfigurationError``."""
        self.options = ActionHeroOptions.from_mapping(options)
        self.texts = HeroTexts(self.options.error_texts)
        self.limits = HeroLimits(
            pending_actions=self.options.simultaneous_actions,
            params=self.options.params_limit,
            params_size=self.options.params_size_limit,
            members=self.options.members_limit,
        )
        #: The commands of the service, by name.
        self.commands: Callable[[], Mapping[str, CommandFacts]] = dict
        # The documentation, and the number of commands in it. An application only adds commands.
        self._documented = 0
        self._documentation: Mapping[str, Any] = {}
        #: The form in which clients get a message, from its room and the stored message.
        self.payload = self.options.payload
        #: Whether a connection that the service's hook gives no name is a user of its own.
        self.takes_guests = self.options.guests

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def take_commands(self, commands: Callable[[], Mapping[str, CommandFacts]]) -> None:
        """Part of ``TakesCommands``."""
        self.commands = commands

    def documentation(self) -> Mapping[str, Any]:
        """What ``documentation`` shows. It is made once, because clients may ask for it again and again."""
        commands = self.commands()
        if self._documented != len(commands):
            self._documented, self._documentation = len(commands), documentation(commands)
        return self._documentation

    def converse(self, client: Client) -> Conversation:
        """Part of ``Dialect``."""
        return LineConversation(self, client)

    def event(self, event: str, args: Sequence[Any]) -> bytes | Each | None:
        """Part of ``Dialect``."""
        if event in _UNTOLD:
            return None
        if event in _FOR_EACH:
            return EACH
        try:
            body = self._told(event, args)
            return None if body is None else write_json(body)
        except Exception:
            # The application's payload may be wrong; other clients get the event anyway.
            logger.exception("the event %s has no form for clients of ActionHero", event)
            return None

    def _told(self, event: str, args: Sequence[Any]) -> Mapping[str, Any] | None:
        if event == "roomMessage" and len(args) == 2 and isinstance(args[1], Mapping):
            room, message = args
            if message.keys() == _HIDDEN:
                return None
            made = message.get(HERO_MESSAGE)
            if isinstance(made, HeroPayload):
                return made
            return self.payload(room, message)
        if event == HERO_MESSAGE and len(args) == 1 and isinstance(args[0], Mapping):
            return {"context": "response", **args[0]}
        return told(event, args)


class PrimusDialect(ActionHeroDialect):
    """Speaks with ActionHero's browser client over Primus. A ``Dialect``."""

    name = "primus"

    def converse(self, client: Client) -> Conversation:
        """Part of ``Dialect``."""
        return PrimusConversation(self, client)


def told(event: str, args: Sequence[Any]) -> dict[str, Any]:
    """An event of the service that ActionHero does not have."""
    return {"context": "api", "event": event, "args": list(args)}


class LineConversation(Conversation):
    """A connection of TCP."""

    has_lines = True

    def __init__(self, dialect: ActionHeroDialect, client: Client) -> None:
        self._dialect = dialect
        self._count = 0
        self.hero = HeroConnection(
            id=client.socket_id,
            fingerprint=self._fingerprint(client),
            remote_ip=client.handshake.remote_addr,
            remote_port=client.remote_port,
            connected_at=int(client.connected_at * 1000),
            texts=dialect.texts,
            limits=dialect.limits,
            commands=lambda: dialect.commands(),
            documentation=dialect.documentation,
            has_lines=self.has_lines,
        )

    def _fingerprint(self, client: Client) -> str:
        return client.socket_id

    def begin(self) -> Steps:
        welcome = self._dialect.options.welcome_message
        if welcome is not None:
            yield Send(write_json({"welcome": welcome, "context": "api"}))
        yield LogIn()

    def receive(self, text: str) -> Steps:
        if not text.strip():
            return ()
        return self._take(read_line(text, self.hero.params, self._dialect.options.max_values))

    def _take(self, request: Request) -> Steps:
        self._count += 1
        decision = self.hero.decide(request)
        if isinstance(decision, End):
            return (self._end(),)
        if isinstance(decision, Reply):
            return (self._answer(request, self._count, decision.body),)
        return (Run(decision.event, decision.args, (request, decision, self._count)),)

    def answered(self, tag: Any, values: Sequence[Any]) -> Steps:
        request, run, count = tag
        error, *results = values
        finished = self.hero.finish(request, run, error, results)
        if isinstance(finished, Decided):
            return (Run(finished.event, finished.args, (request, finished, count)),)
        return (self._answer(request, count, finished),)

    def _answer(self, request: Request, count: int, body: Mapping[str, Any]) -> Send:
        own = count if request.message_id is None else request.message_id
        return Send(write_json({**body, "messageId": own, "messageCount": count}))

    def event(self, event: str, args: Sequence[Any]) -> Steps:
        self.hero.note(event, args)
        if event == "loginRejected":
            error = self.hero.text_of(args[0] if args else None)
            return (Send(write_json({"status": error, "error": error, "context": "api"})),)
        if event == "roomAccessRemoved":
            return (Send(write_json(told(event, args)), is_answer=False),)
        return ()

    def too_long(self) -> Steps:
        text = self._dialect.texts.text("data_length_too_long")
        return (Send(write_json({"status": "error", "error": text, "context": "response"})),)

    def interrupted(self) -> Steps:
        return (self._end(),)

    def _end(self) -> Close:
        return Close(write_json(_BYE))

    def closing(self, closing: Closing) -> bytes | None:
        return write_json(_BYE)


class PrimusConversation(LineConversation):
    """A WebSocket of Primus."""

    has_lines = False
    # The client's library counts nothing but pings, and gives up after 45 s without one.
    pings_always = True

    def _fingerprint(self, client: Client) -> str:
        key = self._dialect.options.cookie_key
        handshake = client.handshake
        return handshake.query.get(key) or handshake.cookies.get(key) or client.socket_id

    def receive(self, text: str) -> Steps:
        try:
            frame = read_frame(text, self._dialect.options.max_values)
        except NotARequestError as error:
            self._count += 1
            return (self._answer(Request(verb=""), self._count, self.hero.failure(str(error))),)
        if isinstance(frame, Pong):
            return ()
        if isinstance(frame, AsksId):
            return (Send(write_json(f"primus::id::{self.hero.id}")),)
        return self._take(frame)

    def ping(self) -> bytes | None:
        return write_json(f"primus::ping::{time.time_ns() // 1_000_000}")

    def _end(self) -> Close:
        return Close(_FINAL)

    def closing(self, closing: Closing) -> bytes | None:
        return None if closing.may_return or closing.reason in _RETURNABLE else _FINAL
