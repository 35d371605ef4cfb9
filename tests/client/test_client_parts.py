"""The client's decisions without a connection: the order of a stream, and errors from the wire."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_service.client.client_errors import from_wire
from chat_service.client.client_stream import Gap, Stream
from chat_service.errors import ERROR_TEXTS, ChatServiceError
from chat_service.protocol.wire import ErrorEncoder


def message(message_id: int) -> dict[str, Any]:
    return {"id": message_id}


@given(st.data(), st.integers(1, 4))
def test_a_stream_gives_each_message_once_or_tells_its_gap(data: st.DataObject, limit: int) -> None:
    """Live messages come early, late, twice or not at all; the history has lost some of them."""
    stream, last = Stream(limit), data.draw(st.integers(1, 12))
    stored = data.draw(st.sets(st.integers(1, last)))
    stream.begin("one", 0)
    given_ids: list[int] = []

    def drain() -> None:
        while (item := stream.pop()) is not None:
            given_ids.extend(range(item.first, item.last + 1) if isinstance(item, Gap) else [item["id"]])

    for number in data.draw(st.lists(st.integers(1, last), max_size=20)):
        stream.take(message(number))
        assert sum(not isinstance(item, Gap) for item in stream._items) <= limit
        if data.draw(st.booleans()):
            drain()
    stream.take(message(last))
    drain()
    while stream.is_behind:
        page = [message(number) for number in sorted(stored) if number > stream.queued_id]
        # Ids are dense: a history is what is left at its end.
        page = [item for item in page if set(range(item["id"], last + 1)) <= stored][:3]
        stream.refill(page)
        drain()
    assert given_ids == list(range(1, last + 1))


@pytest.mark.parametrize("code", sorted(ERROR_TEXTS))
@pytest.mark.parametrize("raw", [False, True])
def test_errors_survive_the_wire(code: str, raw: bool) -> None:
    kinds = [part[0] for part in ERROR_TEXTS[code].split("%")[1:]]
    arguments = tuple({"d": 3, "j": {"a": [1]}, "s": "a b"}[kind] for kind in kinds)
    error = ChatServiceError(code, *arguments)
    wire = ErrorEncoder(raw=raw, expose_internal=False).encode(error, "test")
    found = from_wire(wire)
    assert (found.code, found.arguments) == (code, arguments)


@pytest.mark.parametrize(
    ("value", "code"),
    [("ChatServiceError: teapot", "teapot"), ("something else", "internalError"), (5, "internalError")],
)
def test_other_errors(value: Any, code: str) -> None:
    assert from_wire(value).code == code
