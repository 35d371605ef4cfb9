"""Names of keys and channels. All keys of a room, a user or an instance share a hash tag, so a slot."""

from dataclasses import dataclass

from chat_service.bus.base import Topic, TopicKind


@dataclass(frozen=True, slots=True)
class Keys:
    """Key names below a prefix. The base key of a room, user or instance is also its channel's name."""

    prefix: str

    def topic(self, topic: Topic) -> str:
        """The channel of a topic."""
        return f"{self.prefix}:{topic.kind}:{{{topic.name or 'everyone'}}}"

    def room(self, room: str) -> str:
        """Hash: epoch, seq, last, owner, wl, uu, au, hmax."""
        return f"{self.prefix}:{TopicKind.ROOM}:{{{room}}}"

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

    def room_keys(self, room: str) -> list[str]:
        """All keys of a room, in the order in which scripts take them."""
        lists = [self.room_list(room, name) for name in ("adminlist", "blacklist", "whitelist")]
        return [self.room(room), *lists, self.members(room), self.seen(room), self.history(room)]

    def user(self, user: str) -> str:
        """Hash: wl."""
        return f"{self.prefix}:{TopicKind.USER}:{{{user}}}"

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
        lists = [self.user_list(user, name) for name in ("blacklist", "whitelist")]
        return [self.user(user), *lists, self.user_sockets(user), self.user_rooms(user)]

    def instance_sockets(self, instance_id: str) -> str:
        """Hash of socket to its user."""
        return f"{self.prefix}:{TopicKind.INSTANCE}:{{{instance_id}}}:sockets"

    @property
    def instances(self) -> str:
        """Sorted set of the living instances by their last heartbeat in ms."""
        return f"{self.prefix}:{{instances}}"

    @property
    def claimed(self) -> str:
        """Sorted set of the instances that are being recovered by the time of the claim in ms."""
        return f"{self.prefix}:{{instances}}:claimed"
