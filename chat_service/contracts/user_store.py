"""The part of ``Store`` about users and their sockets."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from chat_service.contracts.records import Actor, Ban, Departure, Rate, SocketInfo, UserConfig
from chat_service.types import InstanceId, Message, SocketId, UserName


class UserStore(Protocol):
    """Users and their sockets. Each change of a user is one atomic step."""

    async def user_create(self, user: UserName, config: UserConfig) -> None:
        """Create a user, inheriting nothing from a former user of that name. Raises ``userExists``."""
        ...

    async def user_delete(self, user: UserName) -> None:
        """Delete a user with the lists. Raises ``noUser``, or ``userOnline`` while a socket is connected."""
        ...

    async def user_exists(self, user: UserName) -> bool:
        """Whether the user was created or has ever logged in."""
        ...

    async def user_get_list(self, user: UserName, list_name: str) -> list[str]:
        """The names in ``blacklist`` or ``whitelist``, in any order. Raises ``noUser``."""
        ...

    async def user_has_in_list(self, user: UserName, list_name: str, name: str) -> bool:
        """Whether a name is in the list. Raises ``noUser``."""
        ...

    async def user_add_to_list(
        self, user: UserName, list_name: str, names: Sequence[str], limit: int, *, check_ban: bool = False
    ) -> None:
        """Add names. Raises ``noUser``, ``listLimitExceeded`` if the list would exceed ``limit`` names.

        ``check_ban``: raise ``banned`` if the user is banned, in the same step and before other errors.
        """
        ...

    async def user_remove_from_list(
        self, user: UserName, list_name: str, names: Sequence[str], *, check_ban: bool = False
    ) -> None:
        """Remove names, ignoring missing ones. Raises ``noUser``, and ``banned`` as ``user_add_to_list``."""
        ...

    async def user_get_mode(self, user: UserName) -> bool:
        """Whether only whitelisted senders may write to the user. Raises ``noUser``."""
        ...

    async def user_set_mode(self, user: UserName, whitelist_only: bool, *, check_ban: bool = False) -> None:
        """Set the mode. Raises ``noUser``, and ``banned`` as ``user_add_to_list``."""
        ...

    async def user_check_direct_access(self, user: UserName, sender: UserName) -> bool:
        """Whether the lists of ``user`` allow ``sender`` to write; never to themselves. Raises ``noUser``."""
        ...

    async def direct_message(self, user: UserName, sender: Actor, message: Message) -> bool | None:
        """Check access and publish ``directMessage(message)`` on the recipient's topic in one step.

        Returns whether all sockets of the sender are on the calling instance, None if that is unknown.

        Raises, checked in this order: ``banned`` if ``sender.check_ban`` is set and the sender is banned;
        ``noUser``; ``notAllowed`` if the sender is the recipient, or if the lists forbid it and ``sender``
        does not bypass them; ``noUserOnline``.
        """
        ...

    # Bans.

    async def user_ban(self, user: UserName, ban: Ban, now: int) -> None:
        """Ban a user, who need not exist, replacing any earlier ban, and publish ``DisconnectUser``.

        From then on ``socket_connect`` and ``room_join`` raise ``banned`` for the user, and so does what has
        ``check_ban``. The ban outlives the user and is forgotten ``ban.until - now`` ms later. ``now``: Unix
        time in ms.
        """
        ...

    async def user_unban(self, user: UserName) -> bool:
        """End a ban. Returns whether there was one."""
        ...

    async def user_get_ban(self, user: UserName) -> Ban | None:
        """The ban of a user, None if there is none. The user need not exist."""
        ...

    async def banned_users(self, users: Sequence[UserName]) -> Sequence[UserName]:
        """The banned users among these, in any order."""
        ...

    # Sockets.

    async def socket_connect(
        self,
        user: UserName,
        socket_id: SocketId,
        instance_id: InstanceId,
        *,
        ephemeral: bool = False,
        limit: int | None = None,
        ttl: float | None = None,
        rate: Rate | None = None,
    ) -> int:
        """Add a socket to the instance and to the user, who is created if missing.

        A user who was created by an ``ephemeral`` connect is deleted with the lists when the last socket
        disconnects, unless a connect without it comes first. ``limit``: the number of sockets that
        the user may have; a further one raises ``limitExceeded``. ``rate``: how fast the user may connect
        sockets; too fast ones raise ``rateLimited``. Only those that are added count, by the storage's clock.

        ``ttl``: time in seconds, by the store's clock, after which the user is deleted if they have no
        socket, no name in a list and no whitelist mode; None: never. It counts from the step after which
        all of that holds. The last connect decides.

        If the user is banned, raises ``banned`` with the end in ms of Unix time or None, and the reason or
        None. Publishes ``socketConnectEcho(id, nconnected)`` for the user's other sockets. Returns
        nconnected, the number of the user's sockets. If the socket is already known, nothing is changed or
        published.
        """
        ...

    async def socket_disconnect(
        self, user: UserName, socket_id: SocketId, instance_id: InstanceId, departures: Sequence[Departure]
    ) -> int:
        """Remove a socket, which has left its rooms, from the user and the instance.

        Publishes ``roomLeftEcho`` for each departure, then ``socketDisconnectEcho(id, nconnected)``, for
        the user's other sockets. Returns nconnected. If the socket is unknown, nothing is changed or
        published.
        """
        ...

    async def user_sockets(
        self, user: UserName, *, limit: int | None = None
    ) -> Mapping[SocketId, SocketInfo]:
        """The user's sockets on all instances.

        ``limit``: of the sockets and the rooms of each, counted together; None: no limit. Raises ``noUser``,
        and without reading them ``limitExceeded``.
        """
        ...
