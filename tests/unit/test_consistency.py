"""The table of operations whose failures are reported by an event."""

import re
from pathlib import Path

import pytest

import chat_service
from chat_service import FailureInfo
from chat_service.domain.emitter import OPERATIONS

#: The values of the npm package.
NPM = {"userRooms", "roomUserlist", "userSockets", "transportChannel"}


def test_every_value_of_the_npm_package_has_one_counterpart():
    names = [operation.npm_name for operation in OPERATIONS.values() if operation.npm_name]
    assert set(names) == NPM and len(names) == len(NPM)


def test_other_values_are_refused():
    for name in OPERATIONS:
        assert FailureInfo(op_type=name).op_type == name
    with pytest.raises(ValueError, match=r"expected one of heartbeat, .*got 'room_jion'"):
        FailureInfo(op_type="room_jion")


def test_every_operation_of_the_table_can_fail():
    package = Path(chat_service.__file__).parent
    sources = "".join(path.read_text("utf-8") for path in package.rglob("*.py") if path.stem != "consistency")
    assert {name for name in OPERATIONS if re.search(f'"{name}"', sources)} == set(OPERATIONS)
