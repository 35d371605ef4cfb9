"""Faults of the connections to Redis."""

from tests.chaos.proxy import Proxy
from tests.chaos.scene import Scene


def _proxy(scene: Scene) -> Proxy:
    assert scene.backend.proxy is not None
    return scene.backend.proxy


async def delay(scene: Scene) -> None:
    """Everything takes long, and one connection longer than another."""
    _proxy(scene).delay = scene.rng.choice([0.02, 0.1, 0.4])
    await scene.pause(1.0, 3.0)


async def cut(scene: Scene) -> None:
    """All connections are reset, and for a moment there are no new ones."""
    for _ in range(scene.rng.randint(1, 3)):
        _proxy(scene).refuses = scene.rng.random() < 0.5
        _proxy(scene).cut()
        await scene.pause(0.0, 1.0)
        _proxy(scene).refuses = False
        await scene.pause(0.0, 1.0)


async def half_open(scene: Scene) -> None:
    """Some connections stay open but carry nothing; on others only the answers are lost."""
    _proxy(scene).deafen(scene.rng.choice([0.3, 0.7, 1.0]), answers_only=scene.rng.random() < 0.5)
    await scene.pause(4.0, 6.0)


async def stall(scene: Scene) -> None:
    """Nothing passes, for longer than a command may take; then everything does."""
    _proxy(scene).hold()
    await scene.pause(1.0, 4.0)
    _proxy(scene).release()
    await scene.pause(0.5, 1.0)


async def overlapping_silence(scene: Scene) -> None:
    """Answers are late, so that commands overlap, and then every connection is dead without a word."""
    _proxy(scene).delay = 0.3
    await scene.pause(1.0, 2.0)
    _proxy(scene).deafen(1.0, answers_only=scene.rng.random() < 0.5)
    _proxy(scene).delay = 0.0
    await scene.pause(4.0, 5.0)
