"""The TypeScript declarations behind the type names of the command and notification tables."""

_MESSAGES = """\
/** What a client sends: this, or any object that a message checker hook accepts. */
type ChatMessage = { textMessage: string } | Record<string, unknown>;

/** A direct message as it arrives. timestamp: ms since the epoch. */
type SentMessage = ChatMessage & { timestamp: number; author: string };

/** A room message as it arrives. The ids of a room are 1, 2, 3, and so on. */
type StoredMessage = SentMessage & { id: number };

"""

#: What is the same for messages of any form.
RECORDS = """\
interface HistoryInfo {
  historySize: number;
  historyMaxSize: number;
  historyMaxGetMessages: number;
  lastMessageId: number;
  /** Which life of the room this is: ids compare within one only. */
  epoch: string;
}

interface NotificationsInfo {
  enableUserlistUpdates: boolean;
  enableAccessListsUpdates: boolean;
}

interface UserSeen {
  joined: boolean;
  timestamp: number | null;
}

/** What on_connect returned besides the name, and the socket's id. */
type AuthData = { id: string } & Record<string, unknown>;

/** A string, or an object with the option use_raw_error_objects. */
type ChatError = string | { name: "ChatServiceError"; code: string; args: unknown[] };
"""

TYPES = _MESSAGES + RECORDS
