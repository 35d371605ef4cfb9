"""Rows and handlers of the commands about conversations of two users, and the list of a user's rooms."""

from contextlib import nullcontext
from typing import Any, Final

from chat_service.commands.spec import USER, Command, actor_of, user_of
from chat_service.contracts.bus import Notify, Topic, TopicKind
from chat_service.contracts.own_room_store import OwnRoom
from chat_service.contracts.records import RoomConfig
from chat_service.domain.access_loss import settle
from chat_service.domain.context import Context
from chat_service.errors import ChatServiceError
from chat_service.hooks import CommandCall
from chat_service.protocol.arguments import CURSOR, PAGE_LIMIT, CommandOption
from chat_service.protocol.names import conversation_name, peer_in
from chat_service.types import RoomName, UserName

#: Maximum number of rooms in one page of a list.
ROOMS_PER_PAGE: Final = 100
#: As many rooms count as one command for the rate of a user.
ROOMS_PER_COMMAND: Final = 50
#: Together with a socket id: the key that serialises lists. It cannot be a room's name.
OWN_ROOMS: Final = "\0own rooms"

#: The kinds of rooms in a list.
DIRECT_KIND, ROOM_KIND = "direct", "room"


async def direct_open(context: Context, call: CommandCall, user_name: UserName) -> RoomName:
    user = user_of(call)
    may_open = context.options.enable_direct_conversations or call.bypass_permissions
    if user_name == user or not may_open:
        raise ChatServiceError("notAllowed")
    return await open_conversation(context, call, user_name)


async def open_conversation(context: Context, call: CommandCall, peer: UserName) -> RoomName:
    """Make the conversation of the caller with a user, if there is none, and list it for both.

    Raises what ``OwnRoomStore.direct_open`` raises.
    """
    user, options = user_of(call), context.options
    room = RoomName(conversation_name(user, peer))
    config = RoomConfig(
        whitelist_only=True,
        history_max_size=options.history_max_size,
        history_max_bytes=options.history_max_bytes,
        history_ttl=options.history_ttl,
        empty_ttl=options.conversation_ttl,
        enable_userlist_updates=options.enable_userlist_updates,
    )
    # Calls of the server on behalf of a user are not counted.
    rate = None if call.is_local_call else context.rates.rooms.rate
    opened = await context.store.direct_open(
        room,
        actor_of(call),
        peer,
        config,
        context.clock.now_ms(),
        limit=options.conversations_limit,
        rate=rate,
    )
    await settle(context, room, opened.removal)
    exclude = () if call.id is None else (call.id,)
    # A user who has lost the conversation with a former user gets this one instead.
    told = opened.listed if opened.removal is None else (user, peer)
    for name in told:
        other = peer if name == user else user
        notice = Notify(event="directOpened", args=(room, other), exclude=exclude)
        await context.store.bus.publish(Topic(TopicKind.USER, name), notice)
    return room


def recipient_in(call: CommandCall, room: RoomName) -> UserName | None:
    """The user whose lists decide on what the caller sends to a conversation; None for other rooms."""
    peer = peer_in(room, call.user_name)
    return None if peer is None else UserName(peer)


async def check_recipient(context: Context, call: CommandCall, room: RoomName) -> None:
    """Raise ``noUser`` or ``notAllowed`` for what is sent to a conversation and not stored."""
    peer = None if call.bypass_permissions else recipient_in(call, room)
    if peer is not None and not await context.store.user_check_direct_access(peer, user_of(call)):
        raise ChatServiceError("notAllowed")


def check_party(call: CommandCall, room: str) -> None:
    """Raise ``noRoom`` for somebody else's conversation: nobody can find out whether there is one."""
    is_user = call.user_name is not None and not call.bypass_permissions
    if is_user and peer_in(room, call.user_name) is None:
        raise ChatServiceError("noRoom", room)


async def unlist(context: Context, user: UserName, room: RoomName) -> None:
    """Take a room that a user has left from their list. Their other sockets leave a conversation, too."""
    if ":" in room:
        removed = await context.store.direct_leave(room, user, context.clock.now_ms())
        await settle(context, room, removed)
    elif context.options.own_rooms_limit:
        await context.store.own_room_remove(user, room)


async def delete_user(context: Context, user: UserName) -> None:
    """Delete a user, who leaves all conversations. Raises ``noUser``, ``userOnline``."""
    store, found, cursor = context.store, [], None
    while True:
        page = await store.own_rooms(user, ROOMS_PER_PAGE, cursor)
        found += [room.name for room in page.items if ":" in room.name]
        cursor = page.cursor
        if cursor is None:
            break
    await store.user_delete(user)
    for room in found:
        await unlist(context, user, room)


async def list_own_rooms(context: Context, call: CommandCall) -> dict[str, Any]:
    user, limit = user_of(call), min(int(call.options.get("limit", ROOMS_PER_PAGE)), ROOMS_PER_PAGE)
    session = None if call.is_local_call or call.id is None else context.sessions.get(call.id)
    rate = context.options.command_rate
    if session is not None and rate is not None:
        # Each room takes a step in the store.
        session.pace.due += limit // ROOMS_PER_COMMAND / rate
    # One at a time for a socket, so that others have their turn in between.
    async with context.serial.hold((call.id, OWN_ROOMS)) if call.id is not None else nullcontext():
        try:
            page = await context.store.own_rooms(user, limit, call.options.get("cursor"))
        except ValueError:
            raise ChatServiceError("badArgument", len(call.args), call.rest_args[0]) from None
    return {"rooms": [_as_object(user, room) for room in page.items], "cursor": page.cursor}


def _as_object(user: UserName, room: OwnRoom) -> dict[str, Any]:
    peer = peer_in(room.name, user)
    return {
        "roomName": room.name,
        "kind": ROOM_KIND if peer is None else DIRECT_KIND,
        "userName": peer,
        "lastMessageId": room.state.last_message_id,
        "lastMessageAt": room.last_message_at,
        "readId": room.state.read_id,
        "unread": room.state.unread,
    }


#: The rows of the table of commands.
ROWS: tuple[Command, ...] = (
    Command(
        name="directOpen",
        arguments=(USER,),
        result="the name of the conversation's room",
        result_type="string",
        who="users allowed by the other user's lists, when `enable_direct_conversations` is on",
        doc=(
            "Opens the conversation with a user, who may be offline: a room for the two, with everything "
            "that rooms have. It is in the lists of both until they leave it. Opening it again changes "
            "nothing."
        ),
        errors=("banned", "invalidName", "limitExceeded", "notAllowed"),
        handler=direct_open,
        needs_user=True,
    ),
    Command(
        name="listOwnRooms",
        arguments=(),
        result="`{rooms, cursor}`",
        result_type="OwnRooms",
        who="any user",
        doc=(
            "Returns a page of the caller's rooms in the order of their names: conversations, and the rooms "
            "that one of their devices has joined and none has left. They stay when connections end. Each "
            "has `roomName`, `kind` (`direct` or `room`), the other user as `userName`, the last message and "
            "what is unread. `cursor` gets the next page; null after the last one."
        ),
        errors=(),
        options=(
            CommandOption("limit", PAGE_LIMIT, "how many rooms, up to 100"),
            CommandOption("cursor", CURSOR, "the `cursor` of the page before"),
        ),
        handler=list_own_rooms,
        needs_user=True,
    ),
)
