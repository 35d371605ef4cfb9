"""Plans for the load generator: what each client sends and waits for (read by load/plan.c)."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.framing import Dialect, Step

#: A message text of 64 characters.
TEXT = "The quick brown fox jumps over the lazy dog, and then once more."

#: In a request: the load generator writes another number there each time it sends the request.
STAMP = "~" * 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A client of a plan."""

    port: int
    steps: Sequence[Step]
    requests: Sequence[bytes]


def joined_client(
    dialect: Dialect, port: int, number: int, room: str, requests: Sequence[tuple[Any, ...]] = ()
) -> Client:
    """A client that logs in and joins a room. Request 0 is a room message; others follow."""
    user = f"user{number}"
    message = dialect.request("roomMessage", room, {"textMessage": TEXT})
    return Client(
        port=port,
        steps=[dialect.handshake(port, user), *dialect.login(), dialect.join(room)],
        requests=[message, *(dialect.request(*request) for request in requests)],
    )


def encode(dialect: Dialect, clients: Sequence[Client]) -> bytes:
    """The plan in the load generator's format."""
    parts: list[bytes] = []

    def blob(data: bytes) -> None:
        parts.append(struct.pack("<I", len(data)))
        parts.append(data)

    blob(dialect.ack_prefix)
    blob(dialect.delivery_prefix)
    blob(dialect.ping)
    blob(dialect.pong)
    parts.append(struct.pack("<I", len(clients)))
    for client in clients:
        parts.append(struct.pack("<HHH", client.port, len(client.steps), len(client.requests)))
        for step in client.steps:
            blob(step.send)
            blob(step.expect)
        for request in client.requests:
            blob(request)
    return b"".join(parts)
