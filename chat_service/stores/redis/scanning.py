"""Lists of rooms, users and instances, for operators.

Names are found by SCAN over all nodes. An index would make every command more expensive.
"""

import asyncio
import re
from collections.abc import Sequence
from typing import Final

from chat_service.contracts.bus import TopicKind
from chat_service.contracts.records import InstanceRecord, Page, RoomSummary, UserSummary
from chat_service.errors import ChatServiceError, StoreError
from chat_service.stores.redis import scripts
from chat_service.stores.redis.client import RedisClient
from chat_service.stores.redis.keys import Keys
from chat_service.stores.redis.scripts import checked, pairs, texts
from chat_service.stores.redis.urls import Address
from chat_service.stores.redis.user_scripts import milliseconds
from chat_service.types import InstanceId, RoomName, UserName

#: Maximum number of keys per SCAN, and of SCANs per page.
LONGEST_SCAN: Final = 1000
SCANS_PER_PAGE: Final = 200

_GLOB = re.compile(r"([*?\[\]\\])")
_CURSOR = re.compile(r"(?P<at>\d+)@(?P<host>.+):(?P<port>\d+)")


class RedisLists:
    """Read-only queries, which need no started instance."""

    def __init__(self, client: RedisClient, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    async def room(self, room: RoomName) -> RoomSummary:
        """Raises ``noRoom``."""
        answer = await self._client.run(scripts.load("room_summary"), self._keys.room_keys(room))
        owner, whitelist_only, members, last_id, size, max_size, epoch = checked(answer, noRoom=room)
        return RoomSummary(
            name=room,
            owner=UserName(owner.decode()) if owner else None,
            members_count=members,
            last_message_id=last_id,
            history_size=size,
            history_max_size=max_size,
            whitelist_only=whitelist_only == 1,
            epoch=epoch.decode(),
        )

    async def rooms(self, limit: int, cursor: str | None) -> Page[RoomSummary]:
        names, following = await self._names(TopicKind.ROOM, "", limit, cursor)
        found = await asyncio.gather(*(self._room_or_none(RoomName(name)) for name in names))
        return Page(items=[room for room in found if room is not None], cursor=following)

    async def _room_or_none(self, room: RoomName) -> RoomSummary | None:
        try:
            return await self.room(room)
        except ChatServiceError:
            # Deleted after it was found.
            return None

    async def users(self, limit: int, cursor: str | None, *, online: bool) -> Page[UserSummary]:
        names, following = await self._names(TopicKind.USER, ":sockets" if online else "", limit, cursor)
        keys = [self._keys.user_sockets(name) for name in names]
        counts = await asyncio.gather(*(self._client.call(key, "HLEN", key) for key in keys))
        items = [
            UserSummary(name=UserName(name), sockets=count)
            for name, count in zip(names, counts, strict=True)
            if count or not online
        ]
        return Page(items=items, cursor=following)

    async def instances(self) -> list[InstanceRecord]:
        answer = await self._client.run(
            scripts.load("instances_list"), [self._keys.instances, self._keys.claimed]
        )
        alive, claimed = (dict(pairs(fields)) for fields in answer)
        names = texts([*alive, *claimed])
        keys = [self._keys.instance_sockets(name) for name in names]
        counts = await asyncio.gather(*(self._client.call(key, "HLEN", key) for key in keys))
        return [
            InstanceRecord(
                id=InstanceId(name),
                heartbeat=_score(alive.get(name.encode())),
                claimed=_score(claimed.get(name.encode())),
                sockets=count,
            )
            for name, count in zip(names, counts, strict=True)
        ]

    # Names

    async def _names(
        self, kind: TopicKind, suffix: str, limit: int, cursor: str | None
    ) -> tuple[list[str], str | None]:
        """Sorted names of existing keys, and the cursor of the next page."""
        head = f"{self._keys.prefix}:{kind}:{{"
        tail = "}" + suffix
        # Names contain no braces or colons, and no other keys of a room or user end so: no others match.
        pattern = _GLOB.sub(r"\\\1", head) + "*" + tail
        nodes = await self._client.nodes()
        address, at = (nodes[0], "0") if cursor is None else _place(cursor, nodes)
        names: set[str] = set()
        looked_at = 0
        for _ in range(SCANS_PER_PAGE):
            # Estimate how many keys contain the missing names, judging by those seen so far.
            missing = limit - len(names)
            likely = missing * max(looked_at, 1) // max(len(names), 1)
            count = min(max(likely, missing), LONGEST_SCAN)
            looked_at += count
            at_bytes, keys = await self._client.call_node(
                address, "SCAN", at, "MATCH", pattern, "COUNT", count
            )
            names.update(key[len(head) : -len(tail)] for key in texts(keys))
            at = at_bytes.decode()
            if at == "0":
                later = [node for node in nodes if node > address]
                if not later:
                    return sorted(names), None
                address = later[0]
            if len(names) >= limit:
                break
        return sorted(names), f"{at}@{address.host}:{address.port}"


def _place(cursor: str, nodes: Sequence[Address]) -> tuple[Address, str]:
    """The node and the SCAN position of a cursor."""
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise ValueError(f"{cursor!r} is not a cursor of a list")
    address = Address(found["host"], int(found["port"]))
    if address not in nodes:
        raise StoreError(f"{address} no longer holds keys: start the list again")
    return address, found["at"]


def _score(score: bytes | None) -> int | None:
    return None if score is None else milliseconds(score)
