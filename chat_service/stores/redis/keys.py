"""Names of keys and channels. All keys of a room, a user or an instance share a hash tag, so a slot.

Each of them is prefix, kind, name in braces and suffix. No prefix has a brace and no kind a colon, so they
tell their prefix, and nothing below one prefix is ever below another, such as "a:b" or "a:room" beside "a".
"""

from dataclasses import dataclass

from chat_service.contracts.bus import Topic

#: The keys of a room and of a user past the first one.
_ROOM_SUFFIXES = (":adminlist", ":blacklist", ":whitelist", ":members", ":seen", ":history", ":changes")
_USER_SUFFIXES = (":blacklist", ":whitelist", ":sockets", ":rooms")


@dataclass(frozen=True, slots=True)
class Keys:
    """Key names below a prefix. The base key of a room, user or instance is also its channel's name."""

    prefix: str

    @classmethod
    def of(cls, prefix: str, db: int) -> "Keys":
        """The names in a database. Channels know no databases, so all but the first are named in them."""
        return cls(f"{prefix}:@{db}" if db else prefix)

    def topic(self, topic: Topic) -> str:
        """The channel of a topic."""
        kind, name = topic
        return f"{self.prefix}:{kind.value}:{{{name or 'everyone'}}}"

    def room(self, room: str) -> str:
        """Hash: epoch, seq, last, owner, wl, uu, au, hmax."""
        return f"{self.prefix}:room:{{{room}}}"

    def room_list(self, room: str, list_name: str) -> str:
        """Set of names: adminlist, blacklist or whitelist."""
        return f"{self.room(room)}:{list_name}"

    def members(self, room: str) -> str:
        """Hash of user to a packed member: announced, then socket, instance and token of each socket."""
        return f"{self.room(room)}:members"

    def seen(self, room: str) -> str:
        """Hash of user to ms of the last join or leave."""
        return f"{self.room(room)}:seen"

    def history(self, room: str) -> str:
        """List of messages, newest first; ids are dense, so the position tells the id."""
        return f"{self.room(room)}:history"

    def changes(self, room: str) -> str:
        """List of packed events other than messages, newest first."""
        return f"{self.room(room)}:changes"

    def room_keys(self, room: str) -> list[str]:
        """All keys of a room, in the order in which scripts take them."""
        key = self.room(room)
        return [key, *[key + suffix for suffix in _ROOM_SUFFIXES]]

    def message_keys(self, room: str) -> list[str]:
        """Those keys of a room that a message concerns, in the order of its script."""
        key = self.room(room)
        return [key, key + ":members", key + ":history"]

    def user(self, user: str) -> str:
        """Hash: wl."""
        return f"{self.prefix}:user:{{{user}}}"

    def user_list(self, user: str, list_name: str) -> str:
        """Set of names: blacklist or whitelist."""
        return f"{self.user(user)}:{list_name}"

    def user_sockets(self, user: str) -> str:
        """Hash of socket to its instance."""
        return f"{self.user(user)}:sockets"

    def user_rooms(self, user: str) -> str:
        """Hash of ``socket:room`` to the token of the join: a superset of what the rooms know."""
        return f"{self.user(user)}:rooms"

    def user_keys(self, user: str) -> list[str]:
        """All keys of a user, in the order in which scripts take them."""
        key = self.user(user)
        return [key, *[key + suffix for suffix in _USER_SUFFIXES]]

    def instance_sockets(self, instance_id: str) -> str:
        """Hash of socket to its user."""
        return f"{self.prefix}:instance:{{{instance_id}}}:sockets"

    @property
    def instances(self) -> str:
        """Sorted set of the living instances by their last heartbeat in ms."""
        return f"{self.prefix}:instances:{{all}}"

    @property
    def claimed(self) -> str:
        """Sorted set of the instances that are being recovered by the time of the claim in ms."""
        return f"{self.instances}:claimed"

    @property
    def pulses(self) -> str:
        """Hash of instance to a number that each heartbeat and each claim counts up."""
        return f"{self.instances}:pulses"
