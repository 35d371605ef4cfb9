"""The server API: users, rooms and state for application code (server-api.md, Server API)."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from chat_service import rules
from chat_service.commands import conversations, execution
from chat_service.commands.execution import Execution
from chat_service.contracts.records import SYSTEM, Ban, Page, RoomConfig, RoomSummary, UserConfig, UserSummary
from chat_service.domain import bans, listing, recovery
from chat_service.domain.access_loss import settle
from chat_service.domain.context import Context
from chat_service.errors import ChatServiceError
from chat_service.protocol.names import check_name, check_room_name
from chat_service.service.server_arguments import (
    CallContext,
    call_fields,
    flag,
    passing,
    ttl,
    whole_number,
    with_options,
)
from chat_service.service.transport_api import Publisher
from chat_service.types import DIRECT_LISTS, ROOM_LISTS, InstanceId, RoomName, SocketId, UserName


class ServerAPI:
    """Methods for server code. Errors given as codes below are raised as ``ChatServiceError``."""

    def __init__(self, context: Context, publisher: Publisher) -> None:
        self._context = context
        self._publisher = publisher

    # Commands

    async def exec_user_command(
        self, context: CallContext, command: str, *args: Any, options: Mapping[str, Any] | None = None
    ) -> list[Any]:
        """Run a command as a user or as the server, and return its results.

        ``context``: a user's name; True to act without a user and without permission checks; or a mapping
        with ``user_name``, ``id`` (a socket of the user, on any instance), ``bypass_hooks`` and
        ``bypass_permissions``. ``options``: those of the command, by their wire names; an unknown name raises
        ``ConfigurationError``. Raises the errors that a client would receive, ``noUser`` for an unknown user,
        and ``noSocket`` if the command needs a socket but ``id`` is missing.
        """
        self._context.check_open()
        fields = call_fields(context)
        user_name, socket_id = fields.get("user_name"), fields.get("id")
        row = execution.find_command(self._context, command)
        if user_name is not None:
            user = self._name(user_name)
            if not await self._context.store.user_exists(UserName(user)):
                raise ChatServiceError("noUser", user_name)
        elif row.needs_user:
            raise ChatServiceError("noUser", None)
        if row.needs_socket and socket_id is None:
            raise ChatServiceError("noSocket", command)
        if options is not None:
            args = with_options(row, args, options)
        call = execution.make_call(
            self._context,
            row,
            args,
            user_name,
            None if socket_id is None else SocketId(socket_id),
            bypass_permissions=bool(fields.get("bypass_permissions")),
            bypass_hooks=bool(fields.get("bypass_hooks")),
            is_local_call=True,
        )
        counters = self._context.counters.server_commands
        with Execution(self._context, counters, row.name, user_name, call.id, args):
            return await execution.run_command(self._context, row, call)

    async def check_arguments(self, command: str, *args: Any) -> None:
        """Check a command's arguments as if a client had sent them.

        Raises ``noCommand``, ``wrongArgumentsCount``, ``badArgument``, ``invalidName``, or the error of a
        message checker hook.
        """
        row = execution.find_command(self._context, command)
        await execution.check_arguments(self._context, row, args)

    # Users

    async def add_user(
        self,
        name: str,
        *,
        whitelist: Sequence[str] = (),
        blacklist: Sequence[str] = (),
        whitelist_only: bool = False,
        exist_ok: bool = False,
    ) -> None:
        """Create a user before the first login. Raises ``userExists``, ``invalidName``,
        ``listLimitExceeded``.

        ``exist_ok``: leave an existing user unchanged instead of raising.
        """
        self._context.check_open()
        limit = self._context.options.direct_list_size_limit
        config = UserConfig(
            whitelist=self._names("whitelist", whitelist, limit),
            blacklist=self._names("blacklist", blacklist, limit),
            whitelist_only=flag("whitelist_only", whitelist_only),
            ttl=self._context.options.user_ttl,
        )
        with passing("userExists" if flag("exist_ok", exist_ok) else None):
            await self._context.store.user_create(self._user(name), config)

    async def delete_user(self, name: str) -> None:
        """Delete a user, who leaves all conversations.

        Raises ``noUser``, or ``userOnline`` while a socket is connected.
        """
        self._context.check_open()
        await conversations.delete_user(self._context, self._user(name))

    async def has_user(self, name: str) -> bool:
        """Whether the user was added or has ever logged in."""
        self._context.check_open()
        return await self._context.store.user_exists(self._user(name))

    async def user_has_in_list(self, user: str, list_name: str, item: str) -> bool:
        """Whether ``item`` is in a user's ``blacklist`` or ``whitelist``. Raises ``noUser``, ``noList``."""
        self._context.check_open()
        name, store = self._user(user), self._context.store
        if list_name not in DIRECT_LISTS and not await store.user_exists(name):
            raise ChatServiceError("noUser", user)
        rules.check_direct_list(list_name)
        return await store.user_has_in_list(name, list_name, item)

    async def has_direct_access(self, recipient: str, sender: str) -> bool:
        """Whether the recipient's lists allow the sender to write. Raises ``noUser``."""
        self._context.check_open()
        return await self._context.store.user_check_direct_access(self._user(recipient), self._user(sender))

    async def disconnect_user_sockets(self, user: str) -> None:
        """Disconnect all sockets of a user. Returns once all instances have been notified."""
        await self._publisher.disconnect_user(self._user(user))

    async def ban_user(self, user: str, seconds: float | None = None, reason: str | None = None) -> None:
        """Ban a user, known or not: disconnect every socket, remove it from all rooms, refuse logins.

        ``seconds``: until the ban ends by itself; None: not before ``unban_user``. ``reason``: at most 1000
        characters, which the user gets to read. Once this has returned, no instance stores messages, lists or
        changes of rooms that the user's clients send; the guide names the limits of a cluster. A new ban
        replaces an earlier one; ``delete_user`` leaves it.
        """
        self._context.check_open()
        name, context = self._user(user), self._context
        ban = bans.make_ban(context.clock.now_ms(), seconds, reason)
        await bans.ban_and_settle(context, name, ban)

    async def unban_user(self, user: str) -> bool:
        """End a ban. Returns whether there was one."""
        self._context.check_open()
        return await self._context.store.user_unban(self._user(user))

    async def get_ban(self, user: str) -> Ban | None:
        """The ban of a user, with ``until`` in ms of Unix time and ``reason``; None without one."""
        self._context.check_open()
        return await self._context.store.user_get_ban(self._user(user))

    # Rooms

    async def add_room(
        self,
        name: str,
        *,
        owner: str | None = None,
        whitelist: Sequence[str] = (),
        blacklist: Sequence[str] = (),
        adminlist: Sequence[str] = (),
        whitelist_only: bool = False,
        history_max_size: int | None = None,
        history_max_bytes: int | None = None,
        history_ttl: float | None = None,
        empty_ttl: float | None = None,
        enable_access_lists_updates: bool | None = None,
        enable_userlist_updates: bool | None = None,
        exist_ok: bool = False,
    ) -> None:
        """Create a room. None means the default from the service's options.

        ``history_ttl``, ``empty_ttl``: in seconds as in the options; 0 for no limit.

        ``exist_ok``: leave an existing room unchanged instead of raising, for rooms that every instance
        creates at its start. Raises ``roomExists``, ``invalidName``, ``listLimitExceeded``.
        """
        self._context.check_open()
        options = self._context.options
        limit = options.room_list_size_limit
        size = options.history_max_size if history_max_size is None else history_max_size
        max_bytes = options.history_max_bytes if history_max_bytes is None else history_max_bytes
        lists_updates, user_updates = enable_access_lists_updates, enable_userlist_updates
        config = RoomConfig(
            owner=None if owner is None else self._user(owner),
            adminlist=self._names("adminlist", adminlist, limit),
            whitelist=self._names("whitelist", whitelist, limit),
            blacklist=self._names("blacklist", blacklist, limit),
            whitelist_only=flag("whitelist_only", whitelist_only),
            history_max_size=whole_number("history_max_size", size, 0),
            history_max_bytes=whole_number("history_max_bytes", max_bytes, 1),
            history_ttl=options.history_ttl if history_ttl is None else ttl("history_ttl", history_ttl),
            empty_ttl=options.empty_ttl if empty_ttl is None else ttl("empty_ttl", empty_ttl),
            enable_access_lists_updates=options.enable_access_lists_updates
            if lists_updates is None
            else flag("enable_access_lists_updates", lists_updates),
            enable_userlist_updates=options.enable_userlist_updates
            if user_updates is None
            else flag("enable_userlist_updates", user_updates),
        )
        with passing("roomExists" if flag("exist_ok", exist_ok) else None):
            await self._context.store.room_create(RoomName(self._name(name)), config)

    async def delete_room(self, name: str) -> None:
        """Remove all users from a room and delete it. Raises ``noRoom``."""
        self._context.check_open()
        room = self._room(name)
        removed = await self._context.store.room_delete(room, SYSTEM)
        await settle(self._context, room, removed)

    async def has_room(self, name: str) -> bool:
        """Whether the room exists."""
        self._context.check_open()
        return await self._context.store.room_exists(self._room(name))

    async def room_has_in_list(self, room: str, list_name: str, item: str) -> bool:
        """Whether ``item`` is in a room's list, ``userlist`` included. Raises ``noRoom``, ``noList``."""
        self._context.check_open()
        name, store = self._room(room), self._context.store
        if list_name not in ROOM_LISTS and not await store.room_exists(name):
            raise ChatServiceError("noRoom", room)
        rules.check_room_list(list_name, reading=True)
        return await store.room_has_in_list(name, list_name, item)

    async def has_room_access(self, room: str, user: str) -> bool:
        """Whether a user may join a room. Raises ``noRoom``."""
        self._context.check_open()
        return await self._context.store.room_check_access(self._room(room), self._user(user))

    async def change_room_owner(self, room: str, owner: str | None) -> None:
        """Change or remove a room's owner. The former owner is removed from the room if they lose access.

        Raises ``noRoom``, ``invalidName``.
        """
        self._context.check_open()
        user = None if owner is None else self._user(owner)
        name = self._room(room)
        removed = await self._context.store.room_set_owner(name, self._context.clock.now_ms(), user)
        await settle(self._context, name, removed)

    async def change_room_history_max_size(self, room: str, size: int) -> None:
        """Set how many messages a room keeps, dropping older ones immediately. Raises ``noRoom``."""
        self._context.check_open()
        await self._context.store.room_set_history_max_size(
            self._room(room), whole_number("history_max_size", size, 0)
        )

    async def change_room_history_max_bytes(self, room: str, size: int) -> None:
        """Set how many bytes of messages a room keeps, dropping the oldest immediately. The newest stays.

        Rooms that were created before this option existed keep any number of bytes until this is called.
        Raises ``noRoom``.
        """
        self._context.check_open()
        await self._context.store.room_set_history_max_bytes(
            self._room(room), whole_number("history_max_bytes", size, 1)
        )

    async def change_room_history_ttl(self, room: str, seconds: float | None) -> None:
        """Set the age at which a room's messages are dropped; None: at no age. Raises ``noRoom``.

        Messages that were stored without a limit of age count from this call on.
        """
        self._context.check_open()
        await self._context.store.room_set_history_ttl(self._room(room), ttl("seconds", seconds))

    async def change_room_empty_ttl(self, room: str, seconds: float | None) -> None:
        """Set the time after which a room without joined users is deleted; None: never.

        For a room that is empty it begins with this call. Raises ``noRoom``.
        """
        self._context.check_open()
        await self._context.store.room_set_empty_ttl(self._room(room), ttl("seconds", seconds))

    async def change_access_lists_updates(self, room: str, enabled: bool) -> None:
        """Turn notifications about changed lists and modes on or off. Raises ``noRoom``."""
        self._context.check_open()
        enabled = flag("enabled", enabled)
        await self._context.store.room_set_updates(self._room(room), access_lists=enabled)

    async def change_userlist_updates(self, room: str, enabled: bool) -> None:
        """Turn notifications about joining and leaving users on or off. Raises ``noRoom``."""
        self._context.check_open()
        enabled = flag("enabled", enabled)
        await self._context.store.room_set_updates(self._room(room), userlist=enabled)

    # Recovery

    async def instance_recovery(self, instance_id: str) -> None:
        """Remove a dead instance's sockets and presence, and notify everyone affected. Idempotent.

        Raises ``ValueError`` for this instance itself.
        """
        self._context.check_open()
        if instance_id == self._context.instance_id():
            raise ValueError(f"instance {instance_id} is this one, and alive")
        await recovery.instance_recovery(self._context, InstanceId(instance_id))

    async def user_state_sync(self, user: str) -> None:
        """Remove a user's stale sockets and room entries. Raises ``noUser``."""
        self._context.check_open()
        await recovery.user_state_sync(self._context, self._user(user))

    async def room_state_sync(self, room: str) -> None:
        """Remove a room's members who have no live socket or no access. Raises ``noRoom``."""
        self._context.check_open()
        await recovery.room_state_sync(self._context, self._room(room))

    async def get_instance_heartbeat(self, instance_id: str | None = None) -> int | None:
        """Unix time in ms of an instance's last heartbeat (default: this one); None if it is unknown."""
        self._context.check_open()
        return await self._context.store.instance_get_heartbeat(self._instance(instance_id))

    async def get_instance_sockets(self, instance_id: str | None = None) -> dict[str, str]:
        """The socket ids of an instance (default: this one) with their users' names."""
        self._context.check_open()
        sockets = await self._context.store.instance_sockets(self._instance(instance_id))
        return {str(socket_id): str(user) for socket_id, user in sockets.items()}

    # Lists

    async def list_rooms(self, limit: int = 100, cursor: str | None = None) -> Page[RoomSummary]:
        """A page of all rooms. ``cursor``: None for the first page, then the previous page's ``cursor``.

        A page has about ``limit`` (1 to 10000) rooms in any order. With Redis it may have more or fewer, even
        none; only a page with the ``cursor`` None is the last one. A room that exists during the whole
        listing is on at least one page. Raises ``ValueError`` for an invalid limit or cursor, ``StoreError``
        if the cursor has expired because Redis nodes changed: start again.
        """
        self._context.check_open()
        return await listing.rooms(self._context.store, limit, cursor)

    async def room_status(self, room: str) -> listing.RoomStatus:
        """A room's current status, with its members and the number of their joined sockets.

        Raises ``noRoom``.
        """
        self._context.check_open()
        return await listing.room_status(self._context.store, self._room(room))

    async def list_users(
        self, limit: int = 100, cursor: str | None = None, *, online: bool = True
    ) -> Page[UserSummary]:
        """A page of the online users, or of all known users with ``online=False``.

        Each has the number of their sockets on all instances. For pages see ``list_rooms``.
        """
        self._context.check_open()
        return await listing.users(self._context.store, limit, cursor, online=flag("online", online))

    async def list_instances(self) -> list[listing.InstanceStatus]:
        """All living instances and dead ones not recovered yet, sorted by id."""
        self._context.check_open()
        timeout = self._context.options.heartbeat_timeout
        context = self._context
        return await listing.instances(context.store, context.clock.now_ms(), timeout, context.watch)

    # Checks of arguments

    def _instance(self, instance_id: str | None) -> InstanceId:
        return self._context.instance_id() if instance_id is None else InstanceId(instance_id)

    def _name(self, name: Any) -> str:
        if not isinstance(name, str):
            raise TypeError(f"expected a name, got {name!r}")
        check_name(name, self._context.options.name_length_limit)
        return name

    def _user(self, name: str) -> UserName:
        return UserName(self._name(name))

    def _room(self, name: str) -> RoomName:
        if not isinstance(name, str):
            raise TypeError(f"expected a name, got {name!r}")
        check_room_name(name, self._context.options.name_length_limit)
        return RoomName(name)

    def _names(self, list_name: str, names: Sequence[str], limit: int) -> list[str]:
        if isinstance(names, str | bytes | Mapping) or not isinstance(names, Collection):
            raise TypeError(f"{list_name}: expected a list of names, got {names!r}")
        distinct = list(dict.fromkeys(self._name(name) for name in names))
        rules.check_list_growth((), distinct, list_name, limit)
        return distinct
