"""Decides what a request of an ActionHero client leads to: an answer, a command, or the end."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from chat_service.contracts.capabilities import CommandFacts
from chat_service.protocol.arguments import ArgumentType
from chat_service.transports.actionhero.hero_requests import ACTION, Request
from chat_service.transports.actionhero.hero_texts import Failure, HeroTexts, read_failure
from chat_service.transports.actionhero.hero_views import room_view

#: Parameters that say which action to run, not with what.
_OWN_PARAMS: Final = frozenset({"action", "apiVersion", "callback", "messageId"})


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer with this at once."""

    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Run:
    """Pass an event to the service; ``HeroConnection.finish`` makes the answer of the outcome."""

    event: str
    args: tuple[Any, ...]
    #: The members that earlier pages of ``roomView`` have shown.
    members: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class End:
    """Say goodbye and disconnect."""


@dataclass(slots=True, kw_only=True)
class HeroLimits:
    """The limits of one connection."""

    #: Actions that run at a time.
    pending_actions: int = 5
    #: Lasting parameters, and bytes of all of them as JSON.
    params: int = 100
    params_size: int = 64 * 1024
    #: Members that ``roomView`` shows.
    members: int = 1000


@dataclass(slots=True, kw_only=True)
class HeroConnection:
    """The state of one connection, and its decisions."""

    id: str
    #: As in ``Handshake.fingerprint``.
    fingerprint: str
    remote_ip: str | None
    remote_port: int | None
    #: Unix time in ms.
    connected_at: int
    texts: HeroTexts
    limits: HeroLimits
    #: The commands that actions run, by name; and what ``documentation`` shows of them.
    commands: Callable[[], Mapping[str, CommandFacts]]
    documentation: Callable[[], Mapping[str, Any]]
    #: Whether answers are in the form of lines, whose errors have no prefix.
    has_lines: bool
    #: The lasting parameters of a TCP client.
    params: dict[str, Any] = field(default_factory=dict)
    #: The rooms that the socket has joined, in order.
    rooms: dict[str, None] = field(default_factory=dict)
    #: Joins that have not been answered, by room.
    joining: dict[str, int] = field(default_factory=dict)
    total_actions: int = 0
    pending_actions: int = 0

    # Requests

    def decide(self, request: Request) -> Reply | Run | End:
        """Pass a ``Run`` that this returns to ``finish``, with its outcome."""
        match request.verb:
            case "quit" | "exit":
                return End()
            case "roomAdd" | "roomLeave" | "roomView":
                return self._about_room(request.verb, request.room)
            case "say":
                if not request.room or request.message in (None, ""):
                    return Reply(self.refusal("connection_room_and_message"))
                message = request.message
                body = message if isinstance(message, dict) else {"textMessage": _as_said(message)}
                return Run("roomMessage", (request.room, body))
            case "detailsView":
                return Reply(self.success(self.details()))
            case "documentation":
                return Reply(self.success(self.documentation()))
            case "action":
                return self._action(request.params)
            case "file":
                return Reply(self._answer(error=self.texts.text("file_not_found")))
        if self.has_lines:
            return self._param(request)
        return Reply(self.refusal("verb_not_found", request.verb))

    def _about_room(self, verb: str, room: str) -> Reply | Run:
        if not room:
            return Reply(self.refusal("connection_room_required"))
        if verb == "roomAdd":
            if room in self.rooms:
                return Reply(self.refusal("connection_already_in_room", room))
            self.joining[room] = self.joining.get(room, 0) + 1
            return Run("roomJoin", (room,))
        if verb == "roomView":
            return Run("roomGetStatus", (room, {"limit": self.limits.members}))
        if room not in self.rooms and room not in self.joining:
            return Reply(self.refusal("connection_not_in_room", room))
        return Run("roomLeave", (room,))

    def _action(self, params: Mapping[str, Any]) -> Reply | Run:
        self.total_actions += 1
        if self.pending_actions >= self.limits.pending_actions:
            return Reply(self._answer(error=self.texts.text("too_many_pending_actions")))
        name = params.get("action")
        if not isinstance(name, str) or not name:
            return Reply(self._answer(error=self.texts.text("unknown_action")))
        command = self.commands().get(name)
        given = {key: value for key, value in params.items() if key not in _OWN_PARAMS}
        if command is None or [item.name for item in command.arguments] == ["params"]:
            # An event that the application has bound itself, or nothing; or a command that takes them all.
            args: tuple[Any, ...] = (given,)
        else:
            missing = [item.name for item in command.arguments if given.get(item.name) in (None, "")]
            if missing:
                return Reply(self._answer(error=self.texts.text("missing_params", missing[0])))
            args = tuple(_value(item.type, given[item.name]) for item in command.arguments)
            options = {
                item.name: _value(item.type, given[item.name])
                for item in command.options
                if item.name in given
            }
            if options:
                args += (options,)
        self.pending_actions += 1
        return Run(name, args)

    def _param(self, request: Request) -> Reply:
        """The verbs of lasting parameters, which only lines have."""
        match request.verb:
            case "paramAdd":
                if not request.key:
                    return Reply(self.refusal("missing_params", "key"))
                changed = {**self.params, request.key: request.value}
                limits = self.limits
                if len(changed) > limits.params or len(orjson.dumps(changed)) > limits.params_size:
                    return Reply(self.refusal("too_many_params"))
                self.params = changed
                return Reply(self.success(None))
            case "paramDelete":
                self.params.pop(request.key, None)
                return Reply(self.success(None))
            case "paramView":
                return Reply(self.success(self.params.get(request.key)))
            case "paramsView":
                return Reply(self.success(dict(self.params)))
            case "paramsDelete":
                self.params.clear()
                return Reply(self.success(None))
        return Reply(self.refusal("verb_not_found", request.verb))

    # Outcomes

    def finish(
        self, request: Request, run: Run, error: Any, results: Sequence[Any]
    ) -> Mapping[str, Any] | Run:
        """The answer to a request for which the service has run ``run``, or what to run next.

        ``error``, ``results``: the values of the ack; ``error`` is None for a success.
        """
        failure = None if error is None else read_failure(error)
        if run.event == "roomJoin":
            self._note_join(request, run, is_joined=failure is None)
        elif run.event == "roomLeave" and (failure is None or failure.code == "noRoom"):
            self.rooms.pop(_room_of(run), None)
        if request.verb == ACTION:
            self.pending_actions -= 1
            if failure is not None:
                return self._answer(error=self.texts.of(failure))
            value = results[0] if results else None
            body = value if isinstance(value, dict) else {} if value is None else {"data": value}
            return {**body, "context": "response"}
        if failure is not None:
            return self.failure(self._told_of_verb(request, failure))
        match request.verb:
            case "roomAdd" | "roomLeave":
                return self.success(True)
            case "roomView":
                return self._viewed(run, results[0] if results else None)
        return self.success(None)

    def _viewed(self, run: Run, page: Any) -> Mapping[str, Any] | Run:
        """The answer of ``roomView``, once enough pages of members are read."""
        if not isinstance(page, Mapping) or not isinstance(page.get("members"), list):
            # A hook has answered in its own way.
            return self.success(page)
        members = [*run.members, *page["members"]]
        left, cursor = self.limits.members - len(members), page.get("cursor")
        if left > 0 and cursor is not None:
            options = {"limit": left, "cursor": cursor}
            return Run("roomGetStatus", (run.args[0], options), tuple(members))
        return self.success(room_view({**page, "members": members}))

    def _note_join(self, request: Request, run: Run, *, is_joined: bool) -> None:
        room = _room_of(run)
        if request.verb != ACTION:
            left = self.joining[room] - 1
            if left:
                self.joining[room] = left
            else:
                del self.joining[room]
        if is_joined:
            self.rooms[room] = None

    def _told_of_verb(self, request: Request, failure: Failure) -> str:
        """A room that does not exist is for most verbs just one that the connection is not in."""
        if failure.code == "noRoom" and request.verb != "roomAdd":
            return self.texts.text("connection_not_in_room", request.room)
        return self.texts.of(failure)

    def text_of(self, error: Any) -> str:
        """The text of an error that the service has sent."""
        return self.texts.of(read_failure(error))

    # Events

    def note(self, event: str, args: Sequence[Any]) -> None:
        """Keep the rooms of the socket up to date by what the service tells it."""
        if event == "roomAccessRemoved" and args:
            self.rooms.pop(args[0], None)
        elif event in ("roomJoinedEcho", "roomLeftEcho") and len(args) > 1 and args[1] == self.id:
            if event == "roomJoinedEcho":
                self.rooms[args[0]] = None
            else:
                self.rooms.pop(args[0], None)

    # Answers

    def details(self) -> dict[str, Any]:
        """What ``detailsView`` shows."""
        return {
            "id": self.id,
            "fingerprint": self.fingerprint,
            "remoteIP": self.remote_ip,
            "remotePort": self.remote_port,
            "params": dict(self.params),
            "connectedAt": self.connected_at,
            "rooms": list(self.rooms),
            "totalActions": self.total_actions,
            "pendingActions": self.pending_actions,
        }

    def success(self, data: Any) -> dict[str, Any]:
        """The answer to a verb."""
        return {"status": "OK", "context": "response", "data": data}

    def refusal(self, name: str, *facts: Any) -> dict[str, Any]:
        """The answer to a verb that failed, with one of the texts."""
        return self.failure(self.texts.text(name, *facts))

    def failure(self, text: str) -> dict[str, Any]:
        """The answer to a verb that failed."""
        if self.has_lines:
            return self._answer(error=text)
        # The browser client's form of an error.
        return {"status": f"Error: {text}", "error": f"Error: {text}", "context": "response"}

    @staticmethod
    def _answer(**fields: Any) -> dict[str, Any]:
        return {**fields, "context": "response"}


def _value(kind: ArgumentType, value: Any) -> Any:
    """A parameter as an argument. TCP clients can only set texts, which are read as JSON where one is due."""
    if kind.typescript == "string" or not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except ValueError:
        return value


def _as_said(message: Any) -> str:
    return message if isinstance(message, str) else orjson.dumps(message).decode()


def _room_of(run: Run) -> str:
    return run.args[0] if run.args and isinstance(run.args[0], str) else ""
