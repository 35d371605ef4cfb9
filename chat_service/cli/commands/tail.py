"""``chat-service tail``: the messages of a room, in order and each once, history first, then what comes.

Only reads: the follower is not a member, has no socket, and is invisible.
"""

from typing import TYPE_CHECKING, Any

import click

from chat_service.cli import output, parameters
from chat_service.cli.parameters import complete_rooms, json_option, subcommand, takes_target
from chat_service.cli.target import Target, run_async

if TYPE_CHECKING:
    from rich.text import Text


import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from chat_service.contracts.bus import Envelope, RoomEvent, Topic, TopicKind
from chat_service.contracts.records import SYSTEM
from chat_service.contracts.store import Store
from chat_service.errors import ChatServiceError, StoreTimeoutError
from chat_service.types import Message, RoomName

logger = logging.getLogger("chat_service")

#: Seconds between two looks into a history that cannot be reached: the first, and the longest.
AGAIN, AGAIN_LONGEST = 0.5, 5.0
#: Messages that one look into the history asks for.
CHUNK = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """A message, or with ``kind`` another than "message" something else that followers should know.

    "gap": messages ``first`` to ``last`` can no longer be read. "epoch": the room was made anew, or has lost
    its last changes, and ids may come again. "event": another notification of the room. "deleted": the room
    is gone.
    """

    kind: str
    message: Message = field(default_factory=dict)
    event: str = ""
    args: Sequence[Any] = ()
    first: int = 0
    last: int = 0


class Follower:
    """A ``BusListener`` that turns what it hears into happenings."""

    def __init__(self, room: RoomName) -> None:
        self._room = room
        self._heard: asyncio.Queue[RoomEvent | None] = asyncio.Queue()
        self._epoch = ""
        #: Id and timestamp of the last message that was given.
        self._last = 0
        self._last_time = 0

    def on_envelope(self, topic: Topic, envelope: Envelope) -> None:
        if isinstance(envelope, RoomEvent):
            self._heard.put_nowait(envelope)

    def on_interruption(self, topic: Topic) -> None:
        # Look what was missed.
        self._heard.put_nowait(None)

    async def follow(self, store: Store, count: int) -> AsyncIterator[Happening]:
        """The newest ``count`` messages, then all that come. Raises ``noRoom``; ends when the room does."""
        info = await store.room_history_info(self._room, SYSTEM)
        await store.bus.subscribe(Topic(TopicKind.ROOM, self._room))
        self._epoch = info.cursor.epoch
        recent = await store.room_recent_history(self._room, SYSTEM, count) if count else []
        self._last = recent[0]["id"] if recent else info.last_message_id
        for message in reversed(recent):
            yield self._give(message)
        pause = AGAIN
        while True:
            event = await self._heard.get()
            try:
                async for happening in self._take(store, event):
                    yield happening
                pause = AGAIN
            except ChatServiceError:
                yield Happening(kind="deleted")
                return
            except Exception as error:
                # Whatever it is: what is missing is looked for again, and again.
                if not isinstance(error, StoreTimeoutError):
                    logger.warning("room %s cannot be read, again in %s s: %r", self._room, pause, error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, AGAIN_LONGEST)
                self._heard.put_nowait(None)

    async def _take(self, store: Store, event: RoomEvent | None) -> AsyncIterator[Happening]:
        if event is None or event.epoch != self._epoch:
            async for happening in self._look_back(store):
                yield happening
        elif event.is_message:
            if event.last_message_id > self._last + 1:
                async for happening in self._look_back(store):
                    yield happening
            if event.last_message_id > self._last:
                _, message = event.args
                yield self._give({**message, "id": event.last_message_id})
            return
        if event is not None and event.event and not event.is_message:
            yield Happening(kind="event", event=event.event, args=event.args)
        elif event is not None and event.removed:
            # Perhaps by the end of the room.
            await store.room_history_info(self._room, SYSTEM)
            yield Happening(kind="event", event="roomUserLeft", args=(self._room, *event.removed))

    async def _look_back(self, store: Store) -> AsyncIterator[Happening]:
        """What the history has that was not heard."""
        info = await store.room_history_info(self._room, SYSTEM)
        given_until = 0
        if info.cursor.epoch != self._epoch:
            self._epoch = info.cursor.epoch
            # Ids do not tell what was given already: a room that lost its last changes keeps the others.
            self._last, given_until = info.last_message_id - info.size, self._last_time
            yield Happening(kind="epoch")
        while self._last < info.last_message_id:
            messages = await store.room_history(self._room, SYSTEM, self._last, CHUNK)
            next_id = messages[-1]["id"] if messages else info.last_message_id + 1
            if next_id > self._last + 1:
                yield Happening(kind="gap", first=self._last + 1, last=next_id - 1)
                self._last = next_id - 1
            for message in reversed(messages):
                self._last = message["id"]
                if message["timestamp"] > given_until:
                    yield self._give(message)

    def _give(self, message: Message) -> Happening:
        self._last, self._last_time = message["id"], message["timestamp"]
        return Happening(kind="message", message=message)


# The command


@subcommand(
    "tail",
    """
    chat-service tail --url redis://localhost default
    chat-service tail --config chat.toml -n 100 --no-follow default
    chat-service tail --config chat.toml --json default | jq -r .message.textMessage
    """,
)
@click.argument("room", type=parameters.text, shell_complete=complete_rooms)
@click.option(
    "-n",
    "count",
    type=click.IntRange(min=0, max=10_000),
    default=10,
    show_default=True,
    help="Messages of the history to begin with.",
)
@click.option("--follow/--no-follow", default=True, show_default=True, help="Go on with what comes.")
@click.option("--events", is_flag=True, help="Show also who joins and leaves, where the room tells of it.")
@json_option
@takes_target
def command(target: Target, room: str, count: int, follow: bool, events: bool, as_json: bool) -> None:
    """Follow a room's messages, history first. Nobody in the room sees that.

    Messages come in order and each once, also over a lost connection. With --json every line is one
    object, whose "kind" is message, gap, epoch, event or deleted.
    """
    run_async(_tail(target, room, count, follow, events, as_json))


async def _tail(target: Target, room: str, count: int, follow: bool, events: bool, as_json: bool) -> None:
    name = RoomName(room)
    follower = Follower(name)
    async with target.open(follower) as store:
        if not follow:
            recent = await store.room_recent_history(name, SYSTEM, count)
            for message in reversed(recent):
                _show(room, Happening(kind="message", message=message), as_json)
            return
        async for happening in follower.follow(store, count):
            if happening.kind != "event" or events:
                _show(room, happening, as_json)


def _show(room: str, happening: Happening, as_json: bool) -> None:
    if as_json:
        output.print_json(_as_object(room, happening))
    else:
        # Not wrapped: what comes is a line for the next program, too.
        output.console().print(_line(happening), soft_wrap=True)


def _as_object(room: str, happening: Happening) -> dict[str, Any]:
    made: dict[str, Any] = {"kind": happening.kind, "room": room}
    if happening.kind == "message":
        made["message"] = happening.message
    elif happening.kind == "gap":
        made.update({"from": happening.first, "to": happening.last})
    elif happening.kind == "event":
        made.update(event=happening.event, args=list(happening.args))
    return made


def _line(happening: Happening) -> "Text":
    match happening.kind:
        case "message":
            return _message_line(happening.message)
        case "gap":
            return output.text(f"-- messages {happening.first} to {happening.last} are lost --", "red")
        case "epoch":
            return output.text("-- the room has begun anew: ids may come again --", "yellow")
        case "deleted":
            return output.text("-- the room is deleted --", "yellow")
        case _:
            args = " ".join(map(_shown, happening.args[1:]))
            return output.text(f"-- {happening.event} {args} --", "dim")


def _message_line(message: "Message") -> "Text":
    from chat_service.errors import as_text

    rest = {name: value for name, value in message.items() if name not in ("id", "timestamp", "author")}
    said = rest["textMessage"] if set(rest) == {"textMessage"} else as_text(rest)
    author = message.get("author")
    return output.line(
        (f"{output.moment(message.get('timestamp'))} #{message.get('id')} ", "dim"),
        ("" if author is None else f"{_shown(author)}: ", "bold cyan"),
        (_shown(said), ""),
    )


def _shown(value: Any) -> str:
    from chat_service.errors import as_text

    return value if isinstance(value, str) else as_text(value)
