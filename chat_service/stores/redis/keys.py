"""Names of keys and channels. All keys of a room, user or instance share a hash tag and so a slot.

A key consists of the prefix, the kind, the name in braces and a suffix. Prefixes contain no braces and kinds
no colons, so the keys of different prefixes never collide, not even those of "a:b" or "a:room" with those of
"a".
"""

from dataclasses import dataclass

from chat_service.contracts.bus import Topic

#: Suffixes of all keys of a room and of a user except the first.
_ROOM_SUFFIXES = (
    ":adminlist",
    ":blacklist",
    ":whitelist",
    ":members",
    ":seen",
    ":history",
    ":changes",
    ":times",
    ":details",
    ":marks",
    ":interactions",
    ":pending",
)
_USER_SUFFIXES = (":blacklist", ":whitelist", ":sockets", ":rooms", ":ban", ":own")


@dataclass(frozen=True, slots=True)
class Keys:
    """Key names under a prefix. The first key of a room, user or instance is also its channel name."""

    prefix: str

    @classmethod
    def of(cls, prefix: str, db: int) -> "Keys":
        """Key names for a database. Channels span all databases, so the prefix names the database."""
        return cls(f"{prefix}:@{db}" if db else prefix)

    def topic(self, topic: Topic) -> str:
        """The channel of a topic."""
        kind, name = topic
        return f"{self.prefix}:{kind.value}:{{{name or 'everyone'}}}"

    def room(self, room: str) -> str:
        """Hash: epoch, birth, seq, last, owner, wl, uu, au, hmax, hb, httl, ettl, gone, leaving, counted,
        details, pair, pending.
        """
        return f"{self.prefix}:room:{{{room}}}"

    def room_list(self, room: str, list_name: str) -> str:
        """Set of names: adminlist, blacklist or whitelist."""
        return f"{self.room(room)}:{list_name}"

    def members(self, room: str) -> str:
        """Hash of user to a packed member: announced, then socket, instance and token of each socket."""
        return f"{self.room(room)}:members"

    def leaving(self, room: str, change: str) -> str:
        """Hash like ``members`` for those whom a change removed: see ``lua/lib/leaving.lua``."""
        return f"{self.room(room)}:leaving:{change}"

    def seen(self, room: str) -> str:
        """Hash of user to Unix time in ms of the last join or leave."""
        return f"{self.room(room)}:seen"

    def history(self, room: str) -> str:
        """List of messages, newest first. Ids have no gaps, so positions follow from ids."""
        return f"{self.room(room)}:history"

    def times(self, room: str) -> str:
        """List of the Unix time in ms of each message in the history, for rooms that drop old ones."""
        return f"{self.room(room)}:times"

    def marks(self, room: str) -> str:
        """Hash of user to the id up to which they have read; the empty field has the birth of the room."""
        return f"{self.room(room)}:marks"

    def interactions(self, room: str) -> str:
        """Hash: what messages say about others, see ``lua/lib/interactions.lua``."""
        return f"{self.room(room)}:interactions"

    def staged(self, room: str, change: str) -> str:
        """Names of a change before its decision: sorted set like ``:pending``, or the start of sets' keys."""
        return f"{self.room(room)}:staged:{change}"

    def changes(self, room: str) -> str:
        """List of packed events other than messages, newest first."""
        return f"{self.room(room)}:changes"

    def details(self, room: str) -> str:
        """Hash of user to what their member record lacks: see ``lua/lib/details.lua``."""
        return f"{self.room(room)}:details"

    def room_keys(self, room: str) -> list[str]:
        """All keys of a room, in the order that scripts expect."""
        return self.all_of(self.room(room))

    def all_of(self, room_key: str) -> list[str]:
        """``room_keys`` for the first key of a room."""
        return [room_key, *[room_key + suffix for suffix in _ROOM_SUFFIXES]]

    def message_keys(self, room: str) -> list[str]:
        """The keys that ``room_message.lua`` needs, in its order."""
        key = f"{self.prefix}:room:{{{room}}}"
        return [key, key + ":members", key + ":history", key + ":times"]

    def unread_keys(self, room: str) -> list[str]:
        """The keys that ``room_unread.lua`` needs, in its order."""
        key = self.room(room)
        return [key, key + ":adminlist", key + ":members", key + ":marks"]

    def sent(self, room: str, user: str | None, key: str) -> str:
        """String for an idempotency key: birth of the room, id and digest.

        Names contain no colons, so users cannot be mixed up. What follows the key keeps it from looking like
        the first key of a room, which ends with a brace.
        """
        return f"{self.room(room)}:sent:{user or ''}:{key}:id"

    def message_pace(self, room: str, user: str) -> str:
        """String: see ``lua/lib/pace.lua``. It does not look like the first key of a room either."""
        return f"{self.room(room)}:pace:{user}:due"

    def user(self, user: str) -> str:
        """Hash: wl, ephemeral, ttl."""
        return f"{self.prefix}:user:{{{user}}}"

    def user_sockets(self, user: str) -> str:
        """Hash of socket to its instance."""
        return f"{self.user(user)}:sockets"

    def user_rooms(self, user: str) -> str:
        """Hash of ``socket:room`` to the token of the join: a superset of the actual joins."""
        return f"{self.user(user)}:rooms"

    def ban(self, user: str) -> str:
        """String: the end in ms of Unix time or nothing, then a colon and the reason if there is one."""
        return f"{self.user(user)}:ban"

    def permits(self, user: str) -> str:
        """Sorted set of a permit and its place by Unix time in ms: see ``permits.py``."""
        return f"{self.user(user)}:permits"

    @staticmethod
    def revoked(place: str, permit: str) -> str:
        """String: the ban that has taken back a permit. ``place``: the first key of a room or user."""
        return f"{place}:revoked:{permit}"

    def own_rooms(self, user: str) -> str:
        """Hash of the rooms in the user's list: see ``lua/lib/user.lua``."""
        return f"{self.user(user)}:own"

    def user_pace(self, user: str, what: str) -> str:
        """String: see ``lua/lib/pace.lua``. ``what``: login or room."""
        return f"{self.user(user)}:pace:{what}"

    def owned_rooms(self, user: str) -> str:
        """Sorted set of ``birth:room`` by the time in ms of the last check. It outlives the user.

        It is a superset of the rooms that count for the user's limit.
        """
        return f"{self.user(user)}:owned"

    def user_keys(self, user: str) -> list[str]:
        """All keys of a user, in the order that scripts expect."""
        key = self.user(user)
        return [key, *[key + suffix for suffix in _USER_SUFFIXES]]

    def instance_sockets(self, instance_id: str) -> str:
        """Hash of socket to its user."""
        return f"{self.prefix}:instance:{{{instance_id}}}:sockets"

    @property
    def instances(self) -> str:
        """Sorted set of the living instances by the Unix time in ms of their last heartbeat."""
        return f"{self.prefix}:instances:{{all}}"

    @property
    def claimed(self) -> str:
        """Sorted set of the instances being recovered by the Unix time in ms of the claim."""
        return f"{self.instances}:claimed"

    @property
    def pulses(self) -> str:
        """Hash of instance to a counter incremented by each heartbeat and claim."""
        return f"{self.instances}:pulses"
