"""The part of ``Store`` about instances."""

from collections.abc import Mapping
from typing import Protocol

from chat_service.types import InstanceId, SocketId, UserName


class InstanceStore(Protocol):
    """Instances, their heartbeats and their sockets."""

    async def instance_heartbeat(self, instance_id: InstanceId, now: int) -> None:
        """Record that an instance is alive, adding it if unknown and ending any claim on it.

        ``now``: Unix time in ms on the instance's clock, shown to operators and not used for decisions.
        """
        ...

    async def instance_renew(self, instance_id: InstanceId, now: int) -> bool:
        """``instance_heartbeat`` of a known instance. Returns False if it is unknown or was claimed."""
        ...

    async def instance_pulses(self) -> Mapping[InstanceId, int]:
        """The pulses of all live and claimed instances.

        A pulse is a number that changes with every heartbeat and claim. An instance whose pulse does not
        change for ``heartbeat_timeout`` is dead.
        """
        ...

    async def instance_claim(self, instance_id: InstanceId, now: int, pulse: int) -> int | None:
        """Claim the recovery of an instance if it still has this pulse. It then no longer counts as alive.

        Returns the new pulse, or None if the instance has sent a heartbeat, was claimed by another or was
        forgotten in the meantime. While the recovery continues, claim it again with the new pulse;
        otherwise others may claim it.
        """
        ...

    async def instance_get_heartbeat(self, instance_id: InstanceId) -> int | None:
        """Unix time in ms of the last heartbeat, None for an unknown or claimed instance."""
        ...

    async def instance_sockets(self, instance_id: InstanceId) -> Mapping[SocketId, UserName]:
        """The sockets of an instance; of a dead one, those it had when it died."""
        ...

    async def instances(self) -> Mapping[InstanceId, int]:
        """The unclaimed instances with the Unix time in ms of their last heartbeats."""
        ...

    async def instance_forget(self, instance_id: InstanceId) -> None:
        """Remove an instance unless it still has sockets."""
        ...
