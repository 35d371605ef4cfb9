"""The beginning of a script's calls, which is packed once for each room."""

import pytest

from chat_service.stores.redis.link import Encodable, pack_command
from chat_service.stores.redis.scripts import CallHead, load


@pytest.mark.parametrize("args", [(), ("a",), ("", b"\r\n*1", 5), tuple(map(str, range(120)))])
def test_a_call_is_the_same_as_one_packed_at_once(args: tuple[Encodable, ...]) -> None:
    script, keys = load("room_message"), ("{ü}", "{ü}:members")
    whole = pack_command(("EVALSHA", script.digest, len(keys), *keys, *args))
    assert CallHead(script, keys).pack(args) == whole
