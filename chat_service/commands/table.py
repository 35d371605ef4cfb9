"""The command table: one row per command. Validation, hook names, docs and client types are derived from
it. The rows are in a module per subject, most of them beside their handlers.
"""

from chat_service.commands import (
    activity,
    conversations,
    direct,
    message_rows,
    room_rows,
    room_status,
    socket_rows,
)
from chat_service.commands.spec import Command

#: All rows, by name.
TABLE: tuple[Command, ...] = tuple(
    sorted(
        (
            *activity.ROWS,
            *conversations.ROWS,
            *direct.ROWS,
            *message_rows.ROWS,
            *room_rows.ROWS,
            *room_status.ROWS,
            *socket_rows.ROWS,
        ),
        key=lambda command: command.name,
    )
)

#: The commands by their wire names.
COMMANDS: dict[str, Command] = {command.name: command for command in TABLE}

#: Names reserved for commands and notifications of later versions. Applications cannot bind handlers to
#: them.
RESERVED_NAMES: frozenset[str] = frozenset({"roomInvite"})
