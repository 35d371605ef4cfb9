"""What can go wrong in a run. Each fault ends healed: what was broken works again when it returns."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.chaos.backends import Backend
from tests.chaos.instances import Instances
from tests.chaos.verdict import Rule

#: Events other than messages are not stored: what a bus connection loses with its breaking stays lost.
BUS_LOSES = frozenset({Rule.PRESENCE, Rule.PRESENCE_END})


class Scene:
    """What a fault can get at."""

    def __init__(self, backend: Backend, instances: Instances, rng: random.Random) -> None:
        self.backend = backend
        self.instances = instances
        self.rng = rng
        if backend.proxy is not None:
            backend.proxy.random = rng

    async def pause(self, shortest: float, longest: float) -> None:
        await asyncio.sleep(self.rng.uniform(shortest, longest))

    async def heal(self) -> None:
        """Undo whatever a fault that failed may have left."""
        for instance in self.instances.all:
            if instance.is_running:
                instance.resume()
        if self.backend.proxy is not None:
            self.backend.proxy.delay = 0.0
            self.backend.proxy.release()
            self.backend.proxy.refuses = False


@dataclass(frozen=True)
class Fault:
    """``allowed``: the rules that it may break, since the contract cannot hold then."""

    run: Callable[[Scene], Awaitable[None]]
    backends: tuple[str, ...] = ("redis",)
    allowed: frozenset[Rule] = frozenset()


# Instances


async def kill_instance(scene: Scene) -> None:
    """kill -9, and another one starts."""
    victim = scene.rng.choice(scene.instances.up())
    await victim.kill()
    await scene.pause(0.0, 1.0)
    await scene.instances.start()
    await scene.pause(1.0, 3.0)


async def pause_instance(scene: Scene) -> None:
    """SIGSTOP for longer than the lease, then SIGCONT."""
    victim = scene.rng.choice(scene.instances.up())
    victim.is_up = False
    victim.pause()
    await scene.pause(3.5, 5.0)
    victim.resume()
    victim.is_up = True
    await scene.pause(1.0, 2.0)


async def blink_instance(scene: Scene) -> None:
    """SIGSTOP for less than the lease."""
    victim = scene.rng.choice(scene.instances.up())
    victim.pause()
    await scene.pause(0.3, 1.2)
    victim.resume()


FAULTS: dict[str, Fault] = {
    "kill": Fault(kill_instance, ("redis", "cluster", "replicas", "sentinel")),
    "pause": Fault(pause_instance, ("redis", "cluster", "replicas", "sentinel")),
    "blink": Fault(blink_instance, ("redis", "cluster", "replicas", "sentinel")),
}
