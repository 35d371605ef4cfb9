"""Reads every room through every instance at the end, as clients do."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from tests.chaos.actors import Slot
from tests.chaos.record import RoomSetup

#: Messages that are read at a time, and how often a read is tried.
PAGE = 100
ATTEMPTS = 10


async def read_everything(rooms: Mapping[str, RoomSetup], readers: Sequence[Slot]) -> None:
    """Each reader reads the rooms that its user owns: who is there, and all messages from the first on.

    The answers go to the record. What could not be read is missing there, for the judges to see.
    """
    await asyncio.gather(
        *(
            _read_room(reader, room)
            for reader in readers
            for room, setup in rooms.items()
            if setup.owner == reader.user
        )
    )


async def _read_room(reader: Slot, room: str) -> None:
    await _ask(reader, "roomGetAccessList", room, "userlist")
    last = 0
    while messages := await _ask(reader, "roomHistoryGet", room, last, PAGE, {"epoch": True}):
        last = messages[0]["id"]


async def _ask(reader: Slot, *command: Any) -> Any:
    """The result; None for an error."""
    for _ in range(ATTEMPTS):
        connection = await reader.connect()
        error, result = await connection.call(*command)
        if error not in ("lost", "timeout"):
            return result
        await asyncio.sleep(0.2)
    return None
