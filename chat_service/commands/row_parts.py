"""Arguments, texts and errors that rows of the command table share."""

from chat_service.protocol.arguments import (
    LIST_NAME,
    MESSAGE,
    MODE,
    NEW_ROOM_NAME,
    ROOM_NAME,
    USER_NAME,
    USER_NAMES,
    Argument,
)

BODY = Argument("message", MESSAGE)
LIST = Argument("listName", LIST_NAME)
NEW_ROOM = Argument("roomName", NEW_ROOM_NAME)
ROOM = Argument("roomName", ROOM_NAME)
USER = Argument("userName", USER_NAME)
USERS = Argument("userNames", USER_NAMES)
WHITELIST_MODE = Argument("mode", MODE)

NOTHING = "nothing"
READERS = "joined users and admins"
READ_ERRORS = ("invalidName", "noRoom", "notJoined")
