"""Requests that an instance has seen already."""

from chat_service.contracts.bus import Request
from chat_service.domain.remote import (
    REQUESTS_OF_EACH,
    REQUESTS_WITHOUT_NUMBER,
    SENDERS,
    SeenRequests,
)
from chat_service.types import InstanceId


def request(request_id: str, sender: str = "one") -> Request:
    return Request(id=request_id, reply_to=InstanceId(sender), operation="join", args=())


def test_each_number_of_a_sender_is_new_once() -> None:
    seen = SeenRequests()
    assert seen.is_new(request("1.a"))
    assert not seen.is_new(request("1.a"))
    assert not seen.is_new(request("1.b"))
    assert seen.is_new(request("1.a", "other"))
    # They may overtake one another.
    assert seen.is_new(request("5.a")) and seen.is_new(request("3.a"))
    assert not seen.is_new(request("3.a")) and not seen.is_new(request("5.a"))
    assert seen.is_new(request("2.a"))


def test_numbers_long_ago_are_not_new() -> None:
    seen = SeenRequests()
    for number in range(1, 5 * REQUESTS_OF_EACH):
        assert seen.is_new(request(f"{number}.a"))
    assert not any(seen.is_new(request(f"{number}.a")) for number in range(1, 5 * REQUESTS_OF_EACH))
    assert len(seen._senders["one"][1]) <= 2 * REQUESTS_OF_EACH
    # One that never came, but is too old.
    late = SeenRequests()
    assert late.is_new(request(f"{2 * REQUESTS_OF_EACH}.a")) and not late.is_new(request("7.a"))


def test_requests_of_earlier_versions() -> None:
    seen = SeenRequests()
    for number in range(2 * REQUESTS_WITHOUT_NUMBER):
        assert seen.is_new(request(f"{number:032x}"))
        assert not seen.is_new(request(f"{number:032x}"))
    assert len(seen._without_number) == REQUESTS_WITHOUT_NUMBER
    strange = ("", ".", "x.y", "-1.a", "².a", "9" * 5000 + ".a")
    assert all(seen.is_new(request(each)) and not seen.is_new(request(each)) for each in strange)


def test_senders_are_bounded() -> None:
    seen = SeenRequests()
    for number in range(SENDERS + 10):
        assert seen.is_new(request("1.a", f"instance{number}"))
    assert len(seen._senders) == SENDERS
    assert not seen.is_new(request("1.a", f"instance{SENDERS}"))
