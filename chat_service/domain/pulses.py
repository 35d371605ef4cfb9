"""Judging other instances by their pulses: numbers in the store that every heartbeat and every claim changes.

An instance whose pulse does not change is silent. Silence is measured by the monotonic clock of the judge, so
it does not matter what the wall clock of any machine shows, nor whether somebody sets it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from chat_service.types import InstanceId


@dataclass(slots=True)
class Pulse:
    """The last pulse of an instance that was seen, and for how many seconds it has been the same."""

    number: int
    silence: float = 0.0


class PulseWatch:
    """What one instance has seen of the others. It decides; its caller reads the store and the clock."""

    def __init__(self, heartbeat_rate: float, heartbeat_timeout: float) -> None:
        self._rate = heartbeat_rate
        self._timeout = heartbeat_timeout
        self._pulses: dict[InstanceId, Pulse] = {}
        #: When the last look ended, in seconds of the monotonic clock.
        self._looked_at: float | None = None

    def look(self, pulses: Mapping[InstanceId, int], began: float, ended: float, *, counts: bool) -> None:
        """Take note of the present pulses, which were read between ``began`` and ``ended``.

        ``counts``: whether living instances could renew their leases since the last look. Otherwise the time
        since then proves nothing. Neither does a long time: this process stood still, perhaps all others too.
        """
        waited = 0.0
        if counts and self._looked_at is not None:
            waited = min(max(began - self._looked_at, 0.0), self._rate)
        self._looked_at = ended
        former, self._pulses = self._pulses, {}
        for instance_id, number in pulses.items():
            pulse = former.get(instance_id)
            if pulse is not None and pulse.number == number:
                pulse.silence += waited
            else:
                pulse = Pulse(number)
            self._pulses[instance_id] = pulse

    def silence(self, instance_id: InstanceId) -> float | None:
        """Seconds for which an instance was seen to be silent; None for one that was not seen yet."""
        pulse = self._pulses.get(instance_id)
        return None if pulse is None else pulse.silence

    def is_dead(self, instance_id: InstanceId) -> bool:
        """Whether an instance was silent for as long as ``heartbeat_timeout``."""
        return (self.silence(instance_id) or 0.0) >= self._timeout

    def dead(self) -> dict[InstanceId, int]:
        """The instances that were silent for that long, each with the pulse that it had all the time."""
        return {name: pulse.number for name, pulse in self._pulses.items() if self.is_dead(name)}

    @property
    def pause(self) -> float:
        """Seconds until the next look: when somebody may turn out to be dead, or half a heartbeat."""
        due = [self._timeout - pulse.silence for pulse in self._pulses.values()]
        # Not at once: what is dead already is in the hands of somebody.
        nearest = min((seconds for seconds in due if seconds > 0), default=self._rate)
        return max(min(nearest, self._rate / 2), self._rate / 100)
