"""A room's circular buffer, compared with a list."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat_service.stores.memory.history import History

steps = st.lists(
    st.tuples(st.just("append"), st.integers(1, 6)) | st.tuples(st.just("resize"), st.integers(0, 8)),
    max_size=30,
)


@settings(max_examples=300)
@given(st.integers(0, 8), steps)
def test_appends_and_resizes(max_size: int, actions: list[tuple[str, int]]) -> None:
    history, model, last_id = History(max_size), [], 0
    for action, number in actions:
        if action == "append":
            for _ in range(number):
                last_id += 1
                assert history.append({"textMessage": str(last_id)}) == last_id
                model.append(last_id)
        else:
            max_size = number
            history.resize(max_size)
        model = model[len(model) - min(max_size, len(model)) :]
        assert (history.size, history.max_size, history.last_id) == (len(model), max_size, last_id)
        for limit in (1, 3, 100):
            assert ids(history.recent(limit)) == model[::-1][:limit]
            for after in range(last_id + 3):
                following = [message_id for message_id in model if message_id > after]
                assert ids(history.after(after, limit)) == following[:limit][::-1]


def ids(messages: Sequence[dict[str, Any]]) -> list[object]:
    for message in messages:
        assert message["textMessage"] == str(message["id"])
    return [message["id"] for message in messages]


def test_kept_messages_cannot_be_changed_from_outside() -> None:
    history = History(10)
    message = {"textMessage": "a", "inside": {"deep": [1]}}
    history.append(message)
    message["inside"]["deep"].append(2)  # type: ignore[index]
    history.recent(1)[0]["textMessage"] = "b"
    assert history.recent(1) == [{"textMessage": "a", "inside": {"deep": [1]}, "id": 1}]


def test_binary_values_are_kept() -> None:
    history = History(2)
    history.append({"file": b"\x00\xff", "list": [b"", {"a": b"1"}]})
    assert history.recent(1)[0] == {"file": b"\x00\xff", "list": [b"", {"a": b"1"}], "id": 1}


def test_unstorable_message_uses_no_id() -> None:
    history = History(2)
    with pytest.raises(TypeError):
        history.append({"bad": object()})
    assert (history.last_id, history.size) == (0, 0)
    assert history.append({"textMessage": "a"}) == 1
