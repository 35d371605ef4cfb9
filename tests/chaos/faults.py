"""The faults of a run. Each fault is repaired before it returns."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.chaos import faults_failover as failover
from tests.chaos import faults_instances as instances
from tests.chaos import faults_network as network
from tests.chaos import faults_redis as servers
from tests.chaos import faults_rotation as rotation
from tests.chaos.scene import Scene
from tests.chaos.verdict import Rule

#: Sockets of an instance that is gone, or that could not renew its lease, are disconnected.
CLOSES = frozenset({Rule.THROWN_OUT})
#: Direct messages, system messages and echoes are not stored: those that a bus connection loses stay lost.
BUS_LOSES = frozenset({Rule.DIRECT_LOST, Rule.ECHO_LOST})
#: An asynchronous replica may lack the last changes of its master: what was acknowledged may be undone.
FAIL_OVER_LOSES = (
    BUS_LOSES
    | CLOSES
    | {
        Rule.ACKED_LOST,
        Rule.CONFLICT,
        Rule.STALE_READ,
        Rule.REMOVED_HEARS,
        Rule.REMOVED_ACTS,
        Rule.MEMBERS,
        Rule.SOCKETS,
        Rule.INDEX,
        Rule.OWN_SOCKETS,
        Rule.USERLIST,
        Rule.PRESENCE,
        Rule.PRESENCE_END,
        Rule.REAL_TIME,
        Rule.JOINED_COUNT,
        Rule.CURSOR,
        Rule.GAP_TOLD,
    }
)
#: Where data is thrown away, ids begin again, and bans are forgotten.
DATA_IS_LOST = FAIL_OVER_LOSES | {
    Rule.NOT_DENSE,
    Rule.DUPLICATE,
    Rule.ORDER,
    Rule.GAP,
    Rule.LATE_START,
    Rule.OLD_MESSAGE,
    Rule.TAIL,
    Rule.UNINVITED,
}
#: What is empty is filled anew: in the end nobody is where they are not.
ALL_IS_GONE = DATA_IS_LOST - {Rule.MEMBERS, Rule.SOCKETS, Rule.INDEX, Rule.OWN_SOCKETS, Rule.USERLIST}


@dataclass(frozen=True)
class Fault:
    """``allowed``: the rules that it may break, since the contract cannot hold then.

    ``servers_answer``: all the time; a server that does not is held up by something else.
    """

    run: Callable[[Scene], Awaitable[None]]
    backends: tuple[str, ...] = ("redis",)
    allowed: frozenset[Rule] = frozenset()
    servers_answer: bool = False


ALL = ("redis", "cluster", "replicas", "sentinel")
CLUSTERS = ("cluster", "replicas")
STEADY = ("redis", "cluster")

FAULTS: dict[str, Fault] = {
    "kill": Fault(instances.kill_instance, ALL, CLOSES, servers_answer=True),
    "pause": Fault(instances.pause_instance, ALL, CLOSES, servers_answer=True),
    "blink": Fault(instances.blink_instance, ALL, servers_answer=True),
    "rotate": Fault(rotation.rotate_unheard, ALL, BUS_LOSES | CLOSES, servers_answer=True),
    "roll": Fault(instances.roll, ALL, CLOSES, servers_answer=True),
    "mixed": Fault(instances.roll_through_the_previous_version, ALL, CLOSES, servers_answer=True),
    "descriptors": Fault(instances.use_up_descriptors, ("redis",), BUS_LOSES, servers_answer=True),
    "skew": Fault(instances.skew_clocks, ALL, servers_answer=True),
    "scripts": Fault(servers.flush_scripts, ALL),
    "clients": Fault(servers.kill_clients, STEADY),
    "subscribers": Fault(servers.kill_subscribers, ALL, BUS_LOSES),
    "restart": Fault(servers.restart, ("redis",), BUS_LOSES | CLOSES),
    "outage": Fault(servers.outage, ("redis",), BUS_LOSES | CLOSES),
    "memory": Fault(servers.out_of_memory, STEADY, servers_answer=True),
    "snapshots": Fault(servers.failing_snapshots, STEADY, servers_answer=True),
    "noreplicas": Fault(servers.too_few_replicas, STEADY, servers_answer=True),
    "maxclients": Fault(servers.no_more_clients, ("redis",), BUS_LOSES | CLOSES),
    "overflow": Fault(servers.small_pubsub_buffers, STEADY, BUS_LOSES),
    "sleep": Fault(servers.sleep, STEADY, BUS_LOSES | CLOSES),
    "client-pause": Fault(servers.pause_clients, STEADY, BUS_LOSES | CLOSES),
    "evict": Fault(servers.evict, ("redis",), DATA_IS_LOST),
    "flush": Fault(servers.flush, STEADY, ALL_IS_GONE),
    "redis-clock": Fault(servers.step_clock, ("redis",), servers_answer=True),
    "delay": Fault(network.delay, ("redis",)),
    "cut": Fault(network.cut, ("redis",), BUS_LOSES | CLOSES),
    "half-open": Fault(network.half_open, ("redis",), BUS_LOSES | CLOSES),
    "silence": Fault(network.overlapping_silence, ("redis",), BUS_LOSES | CLOSES),
    "stall": Fault(network.stall, ("redis",), BUS_LOSES | CLOSES),
    "sentinel": Fault(failover.sentinel_failover, ("sentinel",), FAIL_OVER_LOSES),
    "master": Fault(failover.kill_master, ("sentinel",), FAIL_OVER_LOSES),
    "failover": Fault(failover.shard_failover, ("replicas",), BUS_LOSES | CLOSES),
    "shard": Fault(failover.kill_shard, ("replicas",), FAIL_OVER_LOSES),
    "slots": Fault(failover.move_slots, CLUSTERS, BUS_LOSES | CLOSES),
}
