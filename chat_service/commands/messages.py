"""Handlers of the commands about a room's messages and their history."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from chat_service.commands import conversations
from chat_service.commands.mentions import with_mentions
from chat_service.commands.relations import relation_of
from chat_service.commands.spec import actor_of
from chat_service.concurrency.serial import Hold, Party
from chat_service.contracts.records import Actor, JoinHistory, Rate, SendConditions
from chat_service.domain.context import Context
from chat_service.domain.membership import PlacedHistory
from chat_service.errors import StoreTimeoutError
from chat_service.hooks import CommandCall
from chat_service.interactions import EDIT, RELATES_TO, REPLY, Folds, Relation, fold
from chat_service.protocol.encoded import EncodedMessages, digest
from chat_service.protocol.values import MAX_DEPTH, count_binary
from chat_service.types import Message, RoomName, UserName

T = TypeVar("T")

#: Together with a socket id: the key that serialises reads of histories. It cannot be the name of a room.
HISTORIES = "\0histories"


def processed(message: Message, call: CommandCall, timestamp: int) -> Message:
    """The message as sent: with ``timestamp`` (ms) and ``author`` set by the server, without an ``id`` and
    without what only the server may say about other messages.

    If no user sends the message, it keeps its author. The author comes last.
    """
    done = {**message, "timestamp": timestamp}
    done.pop("id", None)
    if RELATES_TO in done:
        done.pop(RELATES_TO)
    if call.user_name is None:
        # The message may have both, in any place. Stores look for the author at the end.
        done["timestamp"] = done.pop("timestamp")
        if "author" in done:
            done["author"] = done.pop("author")
        return done
    if "author" in done:
        done.pop("author")
    done["author"] = call.user_name
    return done


async def room_message(context: Context, call: CommandCall, room_name: RoomName, message: Message) -> int:
    done = processed(message, call, context.clock.now_ms())
    rate = context.rates.messages
    if rate is not None and (call.is_local_call or call.bypass_permissions):
        rate = None
    relation = relation_of(call, context.options.reactions_limit) if call.options else None
    if context.options.mentions_limit and (relation is None or relation.kind in (REPLY, EDIT)):
        done = await with_mentions(context, room_name, done)
    # Only conversations have a colon in their names.
    recipient = conversations.recipient_in(call, room_name) if ":" in room_name else None
    if call.options or rate is not None or recipient is not None:
        if relation is not None:
            # First, where stores look for it.
            done = {RELATES_TO: relation.as_field(), **done}
        message_id = await _send_on_conditions(
            context, call, room_name, message, done, rate, relation, recipient
        )
    else:
        message_id = await context.store.room_message(room_name, actor_of(call), done)
    hooks = context.hooks
    if hooks.witness is not None or call.command in hooks.after:
        _tell_of(context, call, room_name, done, message_id)
    return message_id


async def room_message_together(
    context: Context, call: CommandCall, party: Party, room_name: RoomName, message: Message
) -> int:
    """``room_message`` for messages that one socket sends to one room without waiting for the answers.

    They are stored in one step, in their order: that costs less, and a failure cannot change the order.
    """
    done = processed(message, call, context.clock.now_ms())
    joint: _JointSend = party.shared or _JointSend(context, party, room_name, actor_of(call))
    party.shared = joint
    message_id = await joint.add(done)
    _tell_of(context, call, room_name, done, message_id)
    return message_id


class _JointSend:
    """Messages that are sent in one step, once all members of a party had their turn."""

    def __init__(self, context: Context, party: Party, room: RoomName, actor: Actor) -> None:
        self._context = context
        self._party = party
        self._room = room
        self._actor = actor
        self._sent: list[tuple[Message, asyncio.Future[int]]] = []

    def add(self, message: Message) -> "asyncio.Future[int]":
        """The future gets the message's id, or what the store raised."""
        loop = asyncio.get_running_loop()
        if not self._sent:
            # All members add their messages before the loop runs anything else. The time limit is that of the
            # first one, which has waited longest.
            loop.call_soon(self._leave, contextvars.copy_context())
        future: asyncio.Future[int] = loop.create_future()
        self._sent.append((message, future))
        return future

    def _leave(self, context: contextvars.Context) -> None:
        self._party.is_open = False
        self._context.running.spawn(self._send(), "roomMessage", context)

    async def _send(self) -> None:
        store: Any = self._context.sends_together
        messages = [message for message, _ in self._sent]
        try:
            first = await store.room_messages(self._room, self._actor, messages)
        except asyncio.CancelledError:
            self._fail(StoreTimeoutError("the service is closing"))
            raise
        except Exception as error:
            self._fail(error)
            return
        for number, (_, future) in enumerate(self._sent):
            if not future.done():
                future.set_result(first + number)

    def _fail(self, error: Exception) -> None:
        for _, future in self._sent:
            if not future.done():
                future.set_exception(error)


def _tell_of(
    context: Context, call: CommandCall, room_name: RoomName, done: Message, message_id: int
) -> None:
    """Let after hooks and witnesses know what was sent."""
    witness = context.hooks.witness
    if (witness is not None or call.command in context.hooks.after) and not call.duplicate:
        call.message = {**done, "id": message_id}
        if witness is not None:
            facts = {"user": call.user_name, "socketId": call.id, "message": call.message}
            witness("message", {"room": room_name, **facts})


def note_what_was_sent(call: CommandCall) -> None:
    """Check the options, and compute the digest of a message with a key before hooks can change it."""
    relation = relation_of(call, 1)
    if "idempotencyKey" in call.options:
        call.digest = _digest(call.args[1], relation)


def _digest(message: Message, relation: Relation | None) -> bytes:
    return digest(message if relation is None else [message, relation.as_field()])


async def _send_on_conditions(
    context: Context,
    call: CommandCall,
    room_name: RoomName,
    message: Message,
    done: Message,
    rate: Rate | None,
    relation: Relation | None,
    recipient: UserName | None,
) -> int:
    key, expected = call.options.get("idempotencyKey"), call.options.get("expectedLastId")
    conditions = SendConditions(
        key=key,
        # A before hook may have added a key.
        digest=b"" if key is None else call.digest or _digest(message, relation),
        window=context.options.idempotency_window,
        expected_last_id=None if expected is None else int(expected),
        rate=rate,
        relation=relation,
        recipient=recipient,
    )
    sent = await context.store.room_send(room_name, actor_of(call), done, conditions)
    while recipient is not None and not sent.id and not sent.is_duplicate:
        # The other one has left the conversation, and gets it back with this message.
        await conversations.open_conversation(context, call, recipient)
        sent = await context.store.room_send(room_name, actor_of(call), done, conditions)
    if sent.is_duplicate:
        call.duplicate, call.extra = True, ({"duplicate": True},)
    return sent.id


async def room_history_get(
    context: Context, call: CommandCall, room_name: RoomName, id: int, limit: int
) -> Sequence[Message]:
    if not call.bypass_permissions:
        limit = min(limit, context.options.history_max_get_messages)
    return await _read(context, call, room_name, int(id), int(limit))


async def room_recent_history(context: Context, call: CommandCall, room_name: RoomName) -> Sequence[Message]:
    return await _read(context, call, room_name, None, context.options.history_max_get_messages)


async def _read(
    context: Context, call: CommandCall, room: RoomName, after: int | None, limit: int
) -> Sequence[Message]:
    """The messages after an id, or the newest ones; with their epoch as an extra value if requested."""
    store, actor = context.store, actor_of(call)
    max_bytes = None if call.bypass_permissions else context.options.history_max_get_bytes
    options = call.options
    with_epoch, is_folded = (options.get("epoch"), options.get("fold")) if options else (False, False)
    folds = None
    if not limit:
        # Reading histories may be disabled. Stores are asked for at least one message.
        info = await store.room_history_info(room, actor)
        found: Sequence[Message] = []
        epoch = info.cursor.epoch
    elif is_folded:
        page = await in_turn(
            context, call, lambda: store.room_history_folded(room, actor, after, limit, max_bytes=max_bytes)
        )
        found, folds, epoch = page
    elif with_epoch:
        found, epoch = await in_turn(
            context, call, lambda: store.room_history_page(room, actor, after, limit, max_bytes=max_bytes)
        )
    elif after is None:
        found = await in_turn(
            context, call, lambda: store.room_recent_history(room, actor, limit, max_bytes=max_bytes)
        )
    else:
        found = await in_turn(
            context, call, lambda: store.room_history(room, actor, after, limit, max_bytes=max_bytes)
        )
    if with_epoch:
        call.extra = (epoch,)
    found = await shown(context, call, room, found, folds)
    return _for_caller(context, call, found, keeps_oldest=after is not None)


async def in_turn(context: Context, call: CommandCall, read: Callable[[], Awaitable[T]]) -> T:
    """Read a history for a client, one at a time per socket, when its backlog of answers is small enough."""
    drained = None if call.is_local_call else context.history_delivery(call.id).drained
    if drained is None or call.id is None:
        return await read()
    hold = Hold(context.serial, (call.id, HISTORIES))
    if not hold.enter_at_once():
        await hold.enter()
    try:
        await drained(call.id)
        return await read()
    finally:
        hold.leave()


async def shown(
    context: Context, call: CommandCall, room: RoomName, messages: Sequence[Message], folds: Folds | None
) -> Sequence[Message]:
    """The messages of a history for the caller: folded on request, and in the form that the application
    allows. Server code gets them as they are stored.
    """
    screen = context.delivery.screen
    if screen is None or call.is_local_call or call.id is None or call.user_name is None:
        return messages if folds is None else fold(messages, folds)
    return await screen.history(UserName(call.user_name), call.id, room, messages, folds)


def _for_caller(
    context: Context, call: CommandCall, messages: Sequence[Message], *, keeps_oldest: bool
) -> Sequence[Message]:
    """A history, newest first, in the form of an answer."""
    return _in_form(context, call, _fit(context, call, messages, keeps_oldest=keeps_oldest))


def _fit(
    context: Context, call: CommandCall, messages: Sequence[Message], *, keeps_oldest: bool
) -> Sequence[Message]:
    """As many messages, newest first, as fit into one packet."""
    limit = context.history_delivery(call.id).max_attachments
    if limit is None or call.is_local_call or isinstance(messages, EncodedMessages):
        return messages
    return within_one_packet(messages, limit, keeps_oldest=keeps_oldest)


def _in_form(context: Context, call: CommandCall, messages: Sequence[Message]) -> Sequence[Message]:
    """Messages encoded by the store, if the transport can send them; otherwise a list."""
    takes_encoded = not call.is_local_call and context.history_delivery(call.id).takes_encoded
    # Hooks may read and change results, and changes are checked.
    if takes_encoded and not context.hooks.has_command_hooks(call.command):
        return messages
    return messages if isinstance(messages, list) else list(messages)


def within_one_packet(messages: Sequence[Message], limit: int, *, keeps_oldest: bool) -> Sequence[Message]:
    """The oldest or newest messages with a total of at most ``limit`` binary values, but at least one
    message. ``messages``: newest first.
    """
    found = 0
    for kept, message in enumerate(reversed(messages) if keeps_oldest else messages):
        found += count_binary(message, MAX_DEPTH) or 0
        if found > limit:
            kept = max(kept, 1)
            return messages[-kept:] if keeps_oldest else messages[:kept]
    return messages


def folded(read: JoinHistory) -> Sequence[Message]:
    """The messages read by a join, folded if that was asked for."""
    return read.messages if read.folds is None else fold(read.messages, read.folds)


async def placed_history(
    context: Context, call: CommandCall, room: RoomName, history: PlacedHistory
) -> dict[str, Any]:
    """The messages read by a join, in the form of an answer."""
    read = history.read
    messages, more = await shown(context, call, room, read.messages, read.folds), read.more
    if not isinstance(messages, EncodedMessages):
        # A recovered answer continues after the client's last message; any other answer ends at the join.
        messages = _fit(context, call, messages[::-1], keeps_oldest=read.recovered)[::-1]
        more = more or (read.recovered and len(messages) < len(read.messages))
    made = replace(read, messages=_in_form(context, call, messages), more=more, folds=None)
    return as_data(history._replace(read=made))


def as_data(history: PlacedHistory) -> dict[str, Any]:
    """As plain data, for an answer."""
    return {
        "epoch": history.epoch,
        "lastMessageId": history.last_message_id,
        "recovered": history.read.recovered,
        "messages": folded(history.read),
        "more": history.read.more,
    }


async def room_history_info(context: Context, call: CommandCall, room_name: RoomName) -> dict[str, Any]:
    info = await context.store.room_history_info(room_name, actor_of(call))
    return {
        "historySize": info.size,
        "historyMaxSize": info.max_size,
        "historyMaxGetMessages": context.options.history_max_get_messages,
        "lastMessageId": info.last_message_id,
        "epoch": info.cursor.epoch,
    }
