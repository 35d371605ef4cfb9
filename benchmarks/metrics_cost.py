"""Measures the cost of metrics and log context per command: ``python -m benchmarks.metrics_cost``."""

import timeit
from collections.abc import Mapping
from time import perf_counter

from chat_service.telemetry import Counters, scope

NUMBER, REPEAT = 500, 200


class Service:
    """A ``ScopeOwner``."""

    commands: Mapping[str, object] = {}

    def instance_id(self) -> str:
        return ""


_commands = Counters(["roomMessage"]).client_commands
_service, _session, _args = Service(), object(), ["lobby", {"textMessage": "hello"}]


def _count() -> None:
    """The part of a command that serves them; see commands/gateway.py."""
    begun = perf_counter()
    token = scope.set((_service, _session, "socket", "roomMessage", _args))
    try:
        pass
    finally:
        scope.reset(token)
    _commands.succeeded("roomMessage", begun)


if __name__ == "__main__":
    # The minimum of many runs excludes the influence of other processes.
    cost = min(timeit.repeat(_count, number=NUMBER, repeat=REPEAT)) / NUMBER
    print(f"metrics and log context: {cost * 1e6:.2f} µs per command")
