"""How costs grow with members, rooms, stored messages and commands in flight."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks.loadgen import Load
from benchmarks.servers import Server, running
from benchmarks.stats import Measurement
from benchmarks.workloads import WARM_UP, Meter, one_room, own_rooms


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """The points of the curves."""

    members: tuple[int, ...] = (10, 100, 1_000, 10_000)
    rooms: tuple[int, ...] = (1, 10, 100, 1_000, 10_000)
    stored: tuple[int, ...] = (0, 100, 1_000, 10_000)
    in_flight: tuple[int, ...] = (1, 50, 1_000)
    #: Number of deliveries or commands per point.
    deliveries: int = 100_000
    commands: int = 5_000
    #: Maximum time in seconds for which a phase sends.
    seconds: float = 4.0


FULL = Points()

#: Commands in flight on the curve of rooms: as many as one room can have, at all points.
ROOMS_IN_FLIGHT = 1
#: Rooms on the curve of stored messages.
STORED_ROOMS = 5

Curve = Callable[[Server, Points], list[Measurement]]


def by_members(server: Server, points: Points) -> list[Measurement]:
    """Cost of a delivery by the members of the room, four messages in flight."""
    found = []
    for members in points.members:
        with running(server) as instances, Load(server.dialect, one_room(instances, members)) as load:
            load.open()
            messages = max(20, points.deliveries // members)
            load.fanout(max(4, messages // 10), window=4, seconds=points.seconds)
            found.append(
                Meter(instances).measure(
                    "by-members",
                    partial(load.fanout, messages, window=4, seconds=points.seconds),
                    deliveries=True,
                    x=members,
                )
            )
    return found


def by_rooms(server: Server, points: Points) -> list[Measurement]:
    """Cost of a command by the number of rooms, each with one member; one command in flight."""
    found = []
    for rooms in points.rooms:
        with (
            running(server, rooms=rooms) as instances,
            Load(server.dialect, own_rooms(instances, rooms)) as load,
        ):
            load.open()
            load.loop(WARM_UP, in_flight=ROOMS_IN_FLIGHT, deliveries=1)
            found.append(
                Meter(instances).measure(
                    "by-rooms",
                    partial(
                        load.loop,
                        points.commands,
                        in_flight=ROOMS_IN_FLIGHT,
                        deliveries=1,
                        seconds=points.seconds,
                    ),
                    x=rooms,
                )
            )
    return found


def by_stored(server: Server, points: Points) -> list[Measurement]:
    """Cost of a command by the messages that its room has stored."""
    found = []
    with (
        running(server, rooms=2 * STORED_ROOMS) as instances,
        Load(server.dialect, own_rooms(instances, 2 * STORED_ROOMS)) as load,
    ):
        load.open()
        # The other rooms; the measured ones start empty.
        load.loop(WARM_UP, first=STORED_ROOMS, deliveries=1)
        stored = 0
        for wanted in points.stored:
            if wanted > stored:
                load.loop((wanted - stored) * STORED_ROOMS, count=STORED_ROOMS, deliveries=1)
                stored = wanted
            # Few enough to stay near the point.
            commands = points.commands // 10 if wanted < 1_000 else points.commands // 2
            done = Meter(instances).measure(
                "by-stored",
                partial(load.loop, commands, count=STORED_ROOMS, deliveries=1),
                x=wanted,
            )
            stored += done.operations // STORED_ROOMS
            found.append(done)
    return found


def by_in_flight(server: Server, points: Points) -> list[Measurement]:
    """Cost of a command by the number in flight, in rooms of one member."""
    clients = max(points.in_flight)
    with (
        running(server, rooms=clients) as instances,
        Load(server.dialect, own_rooms(instances, clients)) as load,
    ):
        load.open()
        load.loop(WARM_UP, in_flight=50, deliveries=1)
        meter = Meter(instances)
        return [
            meter.measure(
                "by-in-flight",
                partial(load.loop, points.commands, in_flight=count, deliveries=1, seconds=points.seconds),
                x=count,
            )
            for count in points.in_flight
        ]


ALL: dict[str, Curve] = {
    "by-members": by_members,
    "by-rooms": by_rooms,
    "by-stored": by_stored,
    "by-in-flight": by_in_flight,
}
