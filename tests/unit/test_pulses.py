"""Judging instances by their pulses, without a clock and without a store."""

from chat_service.domain.remote import PulseWatch
from chat_service.types import InstanceId

ONE, TWO = InstanceId("one"), InstanceId("two")


class Judge:
    """An observer that looks at the pulses at its own times."""

    def __init__(self, rate: float = 10.0, timeout: float = 30.0) -> None:
        self.watch = PulseWatch(rate, timeout)
        self.now = 100.0

    def look(self, *, after: float, counts: bool = True, takes: float = 0.0, **pulses: int) -> None:
        self.now += after
        began = self.now
        self.now += takes
        found = {InstanceId(name): pulse for name, pulse in pulses.items()}
        self.watch.look(found, began, self.now, counts=counts)


def test_an_instance_is_dead_when_its_pulse_was_the_same_for_the_time_out() -> None:
    judge = Judge()
    judge.look(after=0, one=1, two=1)
    assert judge.watch.silence(ONE) == 0
    for beat in range(2, 8):
        assert not judge.watch.is_dead(TWO)
        judge.look(after=5, one=beat, two=1)
    assert judge.watch.silence(TWO) == 30
    assert judge.watch.dead() == {TWO: 1}
    assert not judge.watch.is_dead(ONE)
    judge.look(after=5, one=7, two=2)
    assert judge.watch.dead() == {} and judge.watch.silence(TWO) == 0


def test_an_unknown_instance_is_not_dead() -> None:
    judge = Judge()
    assert judge.watch.silence(ONE) is None
    assert not judge.watch.is_dead(ONE)
    judge.look(after=0, one=1)
    judge.look(after=5)
    assert judge.watch.silence(ONE) is None


def test_the_duration_of_a_check_does_not_count_as_silence() -> None:
    judge = Judge()
    judge.look(after=0, one=1, takes=4)
    judge.look(after=5, one=1, takes=4)
    assert judge.watch.silence(ONE) == 5


def test_time_in_which_nobody_could_renew_does_not_count() -> None:
    judge = Judge()
    judge.look(after=0, one=1)
    judge.look(after=5, one=1)
    for _ in range(20):
        judge.look(after=5, counts=False, one=1)
    assert judge.watch.silence(ONE) == 5
    judge.look(after=5, one=1)
    assert judge.watch.silence(ONE) == 10


def test_time_while_the_observer_stood_still_does_not_count() -> None:
    judge = Judge()
    judge.look(after=0, one=1)
    judge.look(after=3600, one=1)
    assert judge.watch.silence(ONE) == 10
    # A clock that goes back proves nothing either.
    judge.look(after=-50, one=1)
    assert judge.watch.silence(ONE) == 10


def test_checks_run_twice_per_heartbeat_and_when_an_instance_may_be_dead() -> None:
    judge = Judge(rate=10, timeout=12)
    assert judge.watch.pause == 5
    judge.look(after=0, one=1)
    assert judge.watch.pause == 5
    judge.look(after=9, one=1)
    assert judge.watch.pause == 3
    judge.look(after=2.999, one=1)
    assert judge.watch.pause == 0.1
    judge.look(after=0.1, one=1)
    assert judge.watch.is_dead(ONE) and judge.watch.pause == 5
