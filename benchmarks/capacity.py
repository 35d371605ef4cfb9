"""Estimates the capacity of more instances and rooms from the measured cost of each part of a message.

For a message to a room of ``members`` spread over ``spread`` instances, the sender's instance handles a
command (with one delivery), each other instance a hop (with one delivery), and each further member takes a
delivery. Redis runs one script. An instance is one process on one core, and so is a Redis node.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.servers import SERVICE_REDIS
from benchmarks.stats import Summary

MEMBERS = (10, 100, 1_000)
INSTANCES = (1, 4, 16, 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Measured CPU time in microseconds."""

    command: float
    hop: float
    delivery: float
    redis: float

    def instances_us(self, members: int, spread: int) -> float:
        """The cost of a message over all instances."""
        return self.command + (spread - 1) * self.hop + (members - spread) * self.delivery

    def messages_per_second(self, members: int, instances: int) -> float:
        """The message rate if each room's members are spread over as many instances as possible."""
        return instances * 1e6 / self.instances_us(members, min(members, instances))

    def redis_nodes(self, rate: float) -> float:
        """The number of Redis nodes that ``rate`` messages per second occupy."""
        return rate * self.redis / 1e6


def measured_costs(summaries: Mapping[tuple[str, str, int | None], Summary]) -> Costs | None:
    """The costs with Redis, None unless all were measured."""

    def find(workload: str, metric: str = "cpu_us") -> float:
        return summaries[workload, SERVICE_REDIS.key, None][metric].median

    try:
        return Costs(
            command=find("command"),
            hop=find("hop"),
            delivery=find("fanout-4"),
            redis=find("command", "redis_us"),
        )
    except KeyError:
        return None


def capacity_table(
    summaries: Mapping[tuple[str, str, int | None], Summary],
    table: Callable[[Sequence[str], Sequence[Sequence[str]]], str],
) -> list[str]:
    """Heading, explanation and table; empty unless the parts were measured."""
    costs = measured_costs(summaries)
    if costs is None:
        return []
    rows = []
    for members in MEMBERS:
        for instances in INSTANCES:
            rate = costs.messages_per_second(members, instances)
            rows.append(
                (
                    f"{members:,}",
                    f"{instances}",
                    f"{rate:,.0f}",
                    f"{rate * members:,.0f}",
                    f"{costs.redis_nodes(rate):.2f}",
                )
            )
    head = ("members per room", "instances", "messages/s", "deliveries/s", "Redis cores")
    text = (
        f"Computed, not measured: a command costs its instance {costs.command:.0f} µs and Redis "
        f"{costs.redis:.0f} µs, each further instance with members a hop of {costs.hop:.0f} µs, each "
        f"further member {costs.delivery:.1f} µs. Members are spread over all instances, the worst case; all "
        "cores are fully used; sending by Redis to each subscribed instance is not included."
    )
    return ["### Estimated capacity by rooms and instances", text, table(head, rows)]
