"""TypeScript declarations of the types named in the command and notification tables."""

from chat_service.commands.table import TABLE

_MESSAGES = """\
/** A message as sent by a client: this, or any object that a message checker hook accepts. */
type ChatMessage = { textMessage: string } | Record<string, unknown>;

/** A direct message as received. timestamp: Unix time in ms. */
type SentMessage = ChatMessage & { timestamp: number; author: string };

/** A room message as received. Ids in a room count 1, 2, 3, and so on. */
type StoredMessage = SentMessage & { id: number; relatesTo?: Relation; interactions?: Interactions };

"""


def _options() -> str:
    """An interface for the options of each command with options."""
    return "\n".join(
        f"/** Options of {row.name}, after its arguments. */\ninterface {row.options_type} {{\n"
        + "".join(
            f"  /** {option.doc[0].upper()}{option.doc[1:]}. */\n"
            f"  {option.name}?: {option.type.typescript};\n"
            for option in row.options
        )
        + "}\n"
        for row in TABLE
        if row.options
    )


_RECORDS = """\
interface HistoryInfo {
  historySize: number;
  historyMaxSize: number;
  historyMaxGetMessages: number;
  lastMessageId: number;
  /** Message ids are comparable only within the same epoch. */
  epoch: string;
}

/** What a message says about an earlier one of its room. Only the server sets it. */
interface Relation {
  type: "reply" | "edit" | "deletion" | "reaction" | "unreaction";
  /** The id of the earlier message. */
  id: number;
  /** With a reaction or unreaction. */
  reaction?: string;
}

/** What others say about a message of a folded history. */
interface Interactions {
  /** The id of the last message of the room that is taken into account. */
  upTo: number;
  /** true: the content is that of the last edit. */
  edited?: boolean;
  /** The timestamp of that edit. */
  editedAt?: number;
  /** true: the message has no content any more. */
  deleted?: boolean;
  reactions?: ReactionCount[];
}

interface ReactionCount {
  reaction: string;
  /** How many users have given it. */
  count: number;
  /** Whether the reader is one of them. */
  own: boolean;
}

/** What roomMessage answers when it has stored nothing. */
interface SendOutcome {
  /** true: a message was stored before, under the id of the ack; 0 for a reaction that was not there. */
  duplicate: boolean;
}

/** What roomJoin answers to its options: where the socket has joined, and what it has missed. */
interface JoinHistory {
  epoch: string;
  /** The last message before the join: the socket gets every later one as an event. */
  lastMessageId: number;
  /** Whether nothing is missing between `after` and the messages. */
  recovered: boolean;
  /** Oldest first: those after `after` if recovered, else the newest. */
  messages: StoredMessage[];
  /** Whether more messages follow, up to lastMessageId, to be read with roomHistoryGet. */
  more: boolean;
}

/** Messages that never reached this socket and are no longer stored. */
interface HistoryGap {
  epoch: string;
  from: number;
  to: number;
}

/** An event that is stored nowhere. author: null if the server sent it without a user. */
interface EphemeralEvent {
  author: string | null;
  name: string;
  data: unknown;
}

/** How far a user has read a room: up to readId, so that unread messages follow, up to lastMessageId. */
interface ReadState {
  lastMessageId: number;
  readId: number;
  unread: number;
}

/** A room in the list of a user, with how far they have read it. lastMessageAt: Unix time in ms, if known. */
interface OwnRoom {
  roomName: string;
  kind: "direct" | "room";
  /** The other user of a conversation, null for other rooms. */
  userName: string | null;
  lastMessageId: number;
  lastMessageAt: number | null;
  readId: number;
  unread: number;
}

/** A page of a list. cursor: of the next page, null after the last one. */
interface OwnRooms {
  rooms: OwnRoom[];
  cursor: string | null;
}

interface NotificationsInfo {
  enableUserlistUpdates: boolean;
  enableAccessListsUpdates: boolean;
}

interface UserSeen {
  joined: boolean;
  timestamp: number | null;
}

/** A joined user. */
interface MemberStatus {
  userName: string;
  /** Unix time in ms at which the first socket joined; null if it is unknown. */
  joinedAt: number | null;
  /** How many sockets have joined. */
  sockets: number;
  /** What was set last for one of the sockets; missing if nothing was. */
  details?: unknown;
}

/** The state of a room, with a page of its members. */
interface RoomStatus {
  roomName: string;
  owner: string | null;
  /** Message ids are comparable only within the same epoch. */
  epoch: string;
  lastMessageId: number;
  /** How many users have joined. */
  membersCount: number;
  members: MemberStatus[];
  /** Gets the next page; null after the last one. */
  cursor: string | null;
}

/** The socket's id, and the auth data returned by on_connect. */
type AuthData = { id: string } & Record<string, unknown>;

/** A string, or an object if the option use_raw_error_objects is on. */
type ChatError = string | { name: "ChatServiceError"; code: string; args: unknown[] };
"""

#: Declarations that do not depend on the format of messages.
RECORDS = f"{_RECORDS}\n{_options()}"

TYPES = _MESSAGES + RECORDS
