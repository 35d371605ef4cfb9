"""``chat-service tail``: the messages of a room, in order and each once, first from the history, then live.

Only reads: the follower is not a member, has no socket, and is invisible.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

import click

from chat_service.cli import parameters
from chat_service.cli.happenings import Happening, show
from chat_service.cli.parameters import complete_rooms, json_option, subcommand
from chat_service.cli.target import Target, run_async
from chat_service.cli.through_server import Server, takes_target_or_server
from chat_service.contracts.bus import Envelope, RoomEvent, Topic, TopicKind
from chat_service.contracts.records import SYSTEM
from chat_service.contracts.store import Store
from chat_service.errors import ChatServiceError, StoreTimeoutError
from chat_service.types import Message, RoomName

logger = logging.getLogger("chat_service")

#: Minimum and maximum delay in seconds between two attempts to read the history.
AGAIN, AGAIN_LONGEST = 0.5, 5.0
#: Maximum number of messages per read of the history.
CHUNK = 500


class Follower:
    """A ``BusListener`` that turns envelopes into happenings."""

    def __init__(self, room: RoomName) -> None:
        self._room = room
        self._heard: asyncio.Queue[RoomEvent | None] = asyncio.Queue()
        self._epoch = ""
        #: Id and timestamp of the last message returned.
        self._last = 0
        self._last_time = 0

    def on_envelope(self, topic: Topic, envelope: Envelope) -> None:
        if isinstance(envelope, RoomEvent):
            self._heard.put_nowait(envelope)

    def on_interruption(self, topic: Topic) -> None:
        # Read what was missed.
        self._heard.put_nowait(None)

    async def follow(self, store: Store, count: int) -> AsyncIterator[Happening]:
        """The newest ``count`` messages, then live ones. Raises ``noRoom``; ends when the room is deleted."""
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
                # Retry after any error, as often as necessary.
                if not isinstance(error, StoreTimeoutError):
                    logger.warning("room %s cannot be read, retrying in %s s: %r", self._room, pause, error)
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
        elif event is not None and event.is_removal:
            # The room may have been deleted.
            await store.room_history_info(self._room, SYSTEM)
            # The decision to remove many users names no sockets. Events with those who have left follow.
            left = [user for user, sockets in event.removed.items() if sockets]
            if left:
                yield Happening(kind="event", event="roomUserLeft", args=(self._room, *left))

    async def _look_back(self, store: Store) -> AsyncIterator[Happening]:
        """Messages in the history that were not received from the bus."""
        info = await store.room_history_info(self._room, SYSTEM)
        given_until = 0
        if info.cursor.epoch != self._epoch:
            self._epoch = info.cursor.epoch
            # Ids do not show which messages were already returned: a room that lost its last changes keeps
            # the others.
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
    chat-service tail --server https://chat.example.com --user alice default
    """,
)
@click.argument("room", type=parameters.text, shell_complete=complete_rooms)
@click.option(
    "-n",
    "count",
    type=click.IntRange(min=0, max=10_000),
    default=10,
    show_default=True,
    help="Number of messages from the history to begin with.",
)
@click.option("--follow/--no-follow", default=True, show_default=True, help="Continue with new messages.")
@click.option("--events", is_flag=True, help="Also show who joins and leaves, if the room notifies of it.")
@json_option
@takes_target_or_server
def command(
    target: Target | None,
    server: Server | None,
    room: str,
    count: int,
    follow: bool,
    events: bool,
    as_json: bool,
) -> None:
    """Follow a room's messages, history first.

    Messages are printed in order and each once, even if the connection is lost. With --json every line is
    one object whose "kind" is message, gap, epoch, event or deleted.

    With a store, the members of the room do not notice it. With --server the command joins the room as a
    user, with that user's permissions.
    """

    def print_it(happening: Happening) -> None:
        if happening.kind != "event" or events:
            show(room, happening, as_json)

    if server is not None:
        run_async(server.tail(room, count, follow=follow, show=print_it))
    elif target is not None:
        run_async(_tail(target, RoomName(room), count, follow, print_it))


async def _tail(
    target: Target, name: RoomName, count: int, follow: bool, print_it: Callable[[Happening], None]
) -> None:
    follower = Follower(name)
    async with target.open(follower) as store:
        if not follow:
            recent = await store.room_recent_history(name, SYSTEM, count)
            for message in reversed(recent):
                print_it(Happening(kind="message", message=message))
            return
        async for happening in follower.follow(store, count):
            print_it(happening)
