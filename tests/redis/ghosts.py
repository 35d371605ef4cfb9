"""Writes the state that a dead instance would have left in Redis."""

import itertools
import time
from typing import Any

import msgpack
import redis as redis_client

from chat_service.stores.redis.keys import Keys

DEAD = "dead"


def write_ghosts(
    client: "redis_client.Redis", prefix: str, sockets: int, rooms: list[str], *, instance: str = DEAD
) -> None:
    """Create ``sockets`` users with one socket each on a dead instance, each joined to one of the rooms."""
    keys = Keys(prefix)
    members: dict[str, dict[Any, Any]] = {room: {} for room in rooms}
    at_instance: dict[Any, Any] = {}
    pipeline = client.pipeline(transaction=False)
    for number, room in zip(range(sockets), itertools.cycle(rooms), strict=False):
        user, socket = f"ghost{number}", f"socket of ghost{number}"
        at_instance[socket] = user
        pipeline.hset(keys.user(user), "wl", 0)
        pipeline.hset(keys.user_sockets(user), socket, instance)
        pipeline.hset(keys.user_rooms(user), f"{socket}:{room}", "token")
        members[room][user] = msgpack.packb([1, socket, instance, "token"])
    for room, joined in members.items():
        pipeline.hset(keys.members(room), mapping=joined)
        pipeline.hset(keys.seen(room), mapping=dict.fromkeys(joined, 1))
    pipeline.hset(keys.instance_sockets(instance), mapping=at_instance)
    pipeline.zadd(keys.instances, {instance: time.time() * 1000 - 3_600_000})
    pipeline.execute()
