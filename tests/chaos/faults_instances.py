"""Faults of instances: killed, paused, replaced, out of descriptors, with wrong clocks."""

from tests.chaos.record import CURRENT, PREVIOUS
from tests.chaos.scene import Scene


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


async def roll(scene: Scene) -> None:
    """SIGTERM to one instance after the other, each replaced by a new one."""
    for victim in scene.instances.up():
        await scene.instances.start()
        await victim.terminate()
        await scene.pause(0.0, 0.5)
    await scene.pause(1.0, 2.0)


async def roll_through_the_previous_version(scene: Scene) -> None:
    """Instances are replaced by ones of the previous version, one after the other, and these by new ones."""
    for version in (PREVIOUS, CURRENT):
        for victim in scene.instances.up():
            await scene.instances.start(version)
            await victim.terminate()
            await scene.pause(0.5, 1.5)
    await scene.pause(1.0, 2.0)


async def use_up_descriptors(scene: Scene) -> None:
    """An instance cannot open further files, so neither clients nor Redis can connect."""
    victim = scene.rng.choice(scene.instances.up())
    victim.limit_descriptors(3)
    if scene.backend.proxy is not None and scene.rng.random() < 0.7:
        scene.backend.proxy.cut()
    await scene.pause(1.0, 2.0)
    victim.limit_descriptors(None)
    await scene.pause(1.0, 2.0)


async def skew_clocks(scene: Scene) -> None:
    """The clock of one instance, or those of all, step forward or back by more than any lease."""
    steps = [-86400.0, -5.0, 5.0, 86400.0]
    victims = scene.instances.up()
    if scene.rng.random() < 0.7:
        victims = [scene.rng.choice(victims)]
    for victim in victims:
        victim.set_clock(scene.rng.choice(steps))
    await scene.pause(3.0, 5.0)
    for victim in victims:
        victim.set_clock(0.0)
    await scene.pause(3.0, 4.0)
