"""Limits of connections: in total, per address, and before the login."""

import logging
from collections import Counter
from collections.abc import Callable, Hashable
from typing import Final, NamedTuple

from chat_service.clock import Sparing
from chat_service.transports.network.proxies import group_of

logger = logging.getLogger("chat_service")

#: Reasons to refuse a connection, with the text for its client.
CONNECTIONS: Final = "connections"
ADDRESS: Final = "address"
PENDING: Final = "pending"
PENDING_ADDRESS: Final = "pending_address"
REASONS: Final = {
    CONNECTIONS: "too many connections",
    ADDRESS: "too many connections from this address",
    PENDING: "too many connections without a login",
    PENDING_ADDRESS: "too many connections without a login from this address",
}
#: Reasons that concern a single address.
OF_ADDRESS: Final = (ADDRESS, PENDING_ADDRESS)


class ConnectionLimits(NamedTuple):
    """Maximum numbers; None for no limit. Pending connections are those without a login."""

    connections: int | None = None
    per_address: int | None = None
    pending: int | None = None
    pending_per_address: int | None = None
    #: All connections, including those that have not sent a request yet: as many as the open files allow.
    files: int | None = None


class _Tally:
    """Counts items, in total and by address."""

    def __init__(self, most: int | None, most_per_address: int | None) -> None:
        self._most = most
        self._most_per_address = most_per_address
        self._groups: dict[Hashable, str] = {}
        self._by_group: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._groups)

    @property
    def is_full(self) -> bool:
        return self._most is not None and len(self._groups) >= self._most

    def is_full_for(self, address: str | None) -> bool:
        most = self._most_per_address
        return most is not None and self._by_group[group_of(address)] >= most

    def add(self, item: Hashable, address: str | None) -> None:
        if item in self._groups:
            return
        group = "" if self._most_per_address is None else group_of(address)
        self._groups[item] = group
        if group:
            self._by_group[group] += 1

    def discard(self, item: Hashable) -> None:
        group = self._groups.pop(item, "")
        if group:
            self._by_group[group] -= 1
            if not self._by_group[group]:
                del self._by_group[group]


class Admissions:
    """The current connections, and whether another one is allowed."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self._all = _Tally(limits.connections, limits.per_address)
        self._pending = _Tally(limits.pending, limits.pending_per_address)
        #: Number of refused connections by reason.
        self.refused: Counter[str] = Counter(dict.fromkeys(REASONS, 0))
        self._is_full_elsewhere: Callable[[], bool] = lambda: False
        self._log = Sparing()

    def __len__(self) -> int:
        return len(self._all)

    @property
    def pending(self) -> int:
        """Number of connections without a login."""
        return len(self._pending)

    def share(self, count: Callable[[], int], most: int) -> None:
        """Limit a number of connections that includes those of other transports."""
        self._is_full_elsewhere = lambda: count() >= most

    def refusal(self, address: str | None) -> str | None:
        """The reason to refuse a connection from an address, a key of ``REASONS``, which is counted; or
        None.
        """
        if self._all.is_full or self._is_full_elsewhere():
            reason = CONNECTIONS
        elif self._pending.is_full:
            reason = PENDING
        elif self._all.is_full_for(address):
            reason = ADDRESS
        elif self._pending.is_full_for(address):
            reason = PENDING_ADDRESS
        else:
            return None
        self.refuse(reason, address)
        return reason

    def unread_refusal(self, count: int) -> str | None:
        """The same for a connection that would wait for its first request with ``count`` others."""
        pending, files = self._limits.pending, self._limits.files
        if pending is not None and count >= pending:
            reason = PENDING
        elif files is not None and count + len(self._all) >= files:
            reason = CONNECTIONS
        else:
            return None
        self.refuse(reason, None)
        return reason

    def refuse(self, reason: str, address: str | None) -> None:
        """Count a refusal, and log at most one line a second."""
        self.refused[reason] += 1
        if count := self._log.count():
            source = "" if address is None else f", the last one from {address}"
            logger.warning("refused %d connections: %s%s", count, REASONS[reason], source)

    def enter(self, connection: Hashable, address: str | None) -> None:
        """A connection was accepted. It has no login yet."""
        self._all.add(connection, address)
        self._pending.add(connection, address)

    def pend(self, connection: Hashable, address: str | None) -> None:
        """A connection has lost its login."""
        self._pending.add(connection, address)

    def settle(self, connection: Hashable) -> None:
        """The login of a connection is complete."""
        self._pending.discard(connection)

    def leave(self, connection: Hashable) -> None:
        """A connection was closed. Idempotent."""
        self._all.discard(connection)
        self._pending.discard(connection)
