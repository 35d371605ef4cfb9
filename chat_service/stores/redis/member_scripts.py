"""Typed methods for the scripts about the members of a room: pages of them, and their details."""

import re
from typing import Any

from chat_service.contracts.records import Actor, MembersPage, MemberStatus
from chat_service.stores.redis import scripts
from chat_service.stores.redis.client import RedisClient
from chat_service.stores.redis.envelopes import EnvelopeCodec, pack
from chat_service.stores.redis.keys import Keys
from chat_service.stores.redis.scripts import checked, flag, texts
from chat_service.types import RoomName, SocketId, UserName

#: The position of a page: see ``lua/lib/members_page.lua``.
_CURSOR = re.compile(r"(0|[1-9][0-9]{0,19}):(0|[1-9][0-9]{0,19}|):(.*)", re.DOTALL | re.ASCII)
_MAX_POSITION = 2**64 - 1


class MemberScripts:
    """Atomic operations on the members of one room."""

    def __init__(self, client: RedisClient, keys: Keys, codec: EnvelopeCodec) -> None:
        self._client = client
        self._keys = keys
        self._signing = codec.signing

    async def _run(self, script: str, room: RoomName, *args: Any) -> list[Any]:
        answer = await self._client.run(
            scripts.load(script, self._signing), self._keys.room_keys(room), *args
        )
        return checked(answer, noRoom=room, notJoined=room)

    async def page(self, room: RoomName, actor: Actor, limit: int, cursor: str | None) -> MembersPage:
        """Raises ``ValueError`` for an invalid cursor."""
        place = _place(cursor)
        who = actor.name or "", flag(actor.bypass)
        owner, epoch, last_id, count, names, *columns, at, upto, after = await self._run(
            "room_members_page", room, *who, limit, *place
        )
        members = [
            MemberStatus(
                user_name=UserName(name),
                joined_at=joined_at,
                sockets=sockets,
                details=None if details is None else details.decode(),
            )
            for name, sockets, joined_at, details in zip(texts(names), *columns, strict=True)
        ]
        return MembersPage(
            owner=UserName(owner.decode()) if owner else None,
            epoch=epoch.decode(),
            last_message_id=last_id,
            members_count=count,
            members=members,
            cursor=None if at is None else ":".join(texts([at, upto, after])),
        )

    async def set_details(
        self, room: RoomName, user: UserName, socket_id: SocketId, details: str | None, shown: Any
    ) -> None:
        body = pack([room, user, shown])
        await self._run("room_set_details", room, user, socket_id, details or "", body)


def _place(cursor: str | None) -> tuple[str, str, str]:
    if cursor is None:
        return "0", "", ""
    found = _CURSOR.fullmatch(cursor)
    if found is None or any(position and int(position) > _MAX_POSITION for position in found.group(1, 2)):
        raise ValueError(f"cursor: {cursor!r} is not that of another page")
    at, upto, after = found.group(1, 2, 3)
    return at, upto, after
