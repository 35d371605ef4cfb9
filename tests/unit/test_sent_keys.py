"""Idempotency keys in memory: expired ones are forgotten and cost nothing."""

from chat_service.stores.memory.history import Scope, Sent, SentKeys
from chat_service.types import UserName


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def scope(number: int) -> Scope:
    return ("birth", UserName("alice"), f"k{number}")


def test_keys_are_found_until_they_expire() -> None:
    clock = Clock()
    keys = SentKeys(clock)
    keys.remember(scope(1), 7, b"digest", 10.0)
    clock.now = 9.9
    assert keys.find(scope(1)) == Sent(7, b"digest", 10.0)
    assert keys.find(scope(2)) is None
    clock.now = 10.0
    assert keys.find(scope(1)) is None


def test_a_new_key_makes_room_of_expired_ones() -> None:
    clock = Clock()
    keys = SentKeys(clock)
    for number in range(1000):
        clock.now = number
        keys.remember(scope(number), number, b"", 10.0)
        assert len(keys) <= 10
    assert [number for number in range(1000) if keys.find(scope(number))] == list(range(990, 1000))


def test_a_key_that_is_used_again_after_it_expired() -> None:
    clock = Clock()
    keys = SentKeys(clock)
    keys.remember(scope(1), 1, b"", 5.0)
    # A longer window in front hides the expired key behind it.
    keys.remember(scope(0), 9, b"", 100.0)
    keys.remember(scope(2), 2, b"", 5.0)
    clock.now = 6.0
    keys.remember(scope(2), 3, b"", 5.0)
    assert [keys.find(scope(number)) for number in (0, 1)] == [Sent(9, b"", 100.0), None]
    assert keys.find(scope(2)) == Sent(3, b"", 11.0)
    assert len(keys) == 2
