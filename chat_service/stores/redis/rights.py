"""Checks at the start that the Redis user has all the permissions the store needs.

Users with few permissions may not ask for them, so everything is tried on keys and channels under the prefix
that no room, user or instance uses.
"""

from collections.abc import Callable, Coroutine
from typing import Any

from chat_service.contracts.bus import EVERYONE, Bus, Topic, TopicKind
from chat_service.errors import StoreError, StoreRefusedError
from chat_service.stores.redis import scripts
from chat_service.stores.redis.client import RedisClient
from chat_service.stores.redis.keys import Keys
from chat_service.stores.redis.scripts import texts

#: A name that no room, user or instance can have.
PROBE = ":probe"


class RightsCheck:
    """Tries all operations and collects the missing permissions as ACL rules."""

    def __init__(self, client: RedisClient, keys: Keys, bus: Bus, username: str | None) -> None:
        self._client = client
        self._keys = keys
        self._bus = bus
        self._username = username or "default"
        #: Missing ACL rules; a dict used as an ordered set.
        self._missing: dict[str, None] = {}

    async def run(self) -> None:
        """Raises ``StoreError`` that names the missing permissions."""
        keys = self._keys
        groups = (
            [*keys.room_keys(PROBE), keys.sent(PROBE, None, PROBE), keys.message_pace(PROBE, PROBE)],
            [
                *keys.user_keys(PROBE),
                keys.owned_rooms(PROBE),
                keys.user_pace(PROBE, "login"),
                keys.user_pace(PROBE, "room"),
            ],
            [keys.instance_sockets(PROBE)],
            [keys.instances, keys.claimed, keys.pulses],
            [keys.topic(EVERYONE)],
        )
        for group in groups:
            await self._try("EVAL", self._client.command(group[0], "EVAL", "return 1", len(group), *group))
        await self._try_scripts()
        room = keys.room(PROBE)
        await self._try("MULTI", self._client.read(room, ("EXISTS", room)))
        if "+multi" in self._missing:
            # EXEC cannot be tried without MULTI, and both are needed.
            self._missing["+exec"] = None
        for kind in TopicKind:
            await self._try_channel(Topic(kind, PROBE))
        for address in await self._client.nodes():
            await self._try("PING", self._client.call_node(address, "PING"))
            if self._client.is_cluster:
                await self._try("ASKING", self._client.call_node(address, "ASKING"))
        if self._missing:
            where = self._client.topology.connector.address
            raise StoreError(
                f"Redis at {where} does not grant the user {self._username} all the permissions needed;"
                f" to grant them: ACL SETUSER {self._username} {' '.join(self._missing)}"
            )

    async def _try_scripts(self) -> None:
        keys = [*self._keys.room_keys(PROBE)[:4], self._keys.sent(PROBE, None, PROBE)]
        channel = self._keys.topic(Topic(TopicKind.ROOM, PROBE))
        run = self._client.run(scripts.load("probe"), keys, channel)
        refused = texts(await self._try("EVALSHA", run) or [])
        for command, text in zip(refused[::2], refused[1::2], strict=True):
            self._miss(command, text)

    async def _try_channel(self, topic: Topic) -> None:
        channel = self._keys.topic(topic)
        call: Callable[..., Coroutine[Any, Any, Any]] = self._client.command
        await self._try("SPUBLISH", call(channel, "SPUBLISH", channel, ""))
        await self._try("SSUBSCRIBE", self._bus.subscribe(topic))
        await self._bus.unsubscribe(topic)
        await self._try("SUNSUBSCRIBE", call(channel, "SUNSUBSCRIBE", channel))

    async def _try(self, command: str, doing: Coroutine[Any, Any, Any]) -> Any:
        """The result, None if permission was refused. Other errors are raised."""
        try:
            return await doing
        except StoreRefusedError:
            # Redis currently refuses this to everyone, regardless of permissions.
            return None
        except Exception as error:
            if not self._miss(command, str(error)):
                raise
            return None

    def _miss(self, command: str, text: str) -> bool:
        """Record the permission that an error is about, if any."""
        rule = missing_rule(command, text, self._keys.prefix)
        if rule is not None:
            self._missing[rule] = None
        return rule is not None


def missing_rule(command: str, text: str, prefix: str) -> str | None:
    """The missing ACL rule according to a command's error; None if the error is not about permissions."""
    lowered = text.lower()
    if "unknown" in lowered and "command" in lowered:
        return f"+{command.lower()}"
    # Inside a script each generation of servers says it in another way.
    if not any(sign in lowered for sign in ("noperm", "acl failure", "user executing the script")):
        return None
    if "channel" in lowered:
        return f"&{prefix}:*"
    if " key" in lowered:
        return f"~{prefix}:*"
    # Commands with subcommands are given in full.
    _, _, named = lowered.partition("run the '")
    return f"+{named.partition(chr(39))[0] or command.lower()}"
