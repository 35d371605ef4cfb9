"""ActionHero's dialect without I/O: requests, decisions and answers."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat_service.contracts.transport import Handshake
from chat_service.errors import ChatServiceError
from chat_service.protocol.arguments import FLAG, LIMIT, OBJECT, USER_NAME, Argument, CommandOption
from chat_service.protocol.wire import ErrorEncoder
from chat_service.transports.actionhero import ActionHeroDialect, PrimusDialect
from chat_service.transports.actionhero.hero_decisions import End, HeroConnection, HeroLimits, Reply
from chat_service.transports.actionhero.hero_decisions import Run as Runs
from chat_service.transports.actionhero.hero_requests import (
    LINE_VERBS,
    AsksId,
    NotARequestError,
    Pong,
    Request,
    read_frame,
    read_line,
)
from chat_service.transports.actionhero.hero_texts import HeroTexts
from chat_service.transports.actionhero.hero_views import (
    documentation,
    payload_of,
    room_view,
)
from chat_service.transports.streams.dialect import Client, Run, Send
from chat_service.types import SocketId


class Facts(NamedTuple):
    """A command as the dialect knows it."""

    name: str
    doc: str
    arguments: tuple[Argument, ...]
    options: tuple[CommandOption, ...] = ()


ALL = Facts("all", "Takes everything.", (Argument("params", OBJECT),))
SLEEP = Facts("sleep", "Sleeps.", (Argument("seconds", LIMIT),))
GREET = Facts("greet", "Greets.", (Argument("name", USER_NAME),), (CommandOption("loud", FLAG, "shout"),))


def connection(*, lines: bool = True, **limits: int) -> HeroConnection:
    return HeroConnection(
        id="c1",
        fingerprint="f1",
        remote_ip="127.0.0.1",
        remote_port=4000,
        connected_at=123,
        texts=HeroTexts(),
        limits=HeroLimits(**limits),
        commands=lambda: {"sleep": SLEEP, "greet": GREET, "all": ALL},
        documentation=dict,
        has_lines=lines,
    )


def failure(*code_and_arguments: str, raw: bool = False) -> Any:
    """An error as the service answers it."""
    return ErrorEncoder(raw=raw, expose_internal=False).encode(ChatServiceError(*code_and_arguments), "test")


def client() -> Client:
    """A new connection."""
    handshake = Handshake(is_connected=True, remote_addr="127.0.0.1", fingerprint="c1")
    return Client(socket_id=SocketId("c1"), handshake=handshake, remote_port=4000, connected_at=1.5)


def reply(decision: Any) -> Mapping[str, Any]:
    assert isinstance(decision, Reply), decision
    return decision.body


def finished(hero: HeroConnection, *outcome: Any) -> Mapping[str, Any]:
    """The answer to a request that the service has run."""
    body = hero.finish(*outcome)
    assert not isinstance(body, Runs), body
    return body


def run(decision: Any) -> Runs:
    assert isinstance(decision, Runs), decision
    return decision


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("roomAdd lobby", Request(verb="roomAdd", room="lobby")),
        ("roomAdd   lobby ", Request(verb="roomAdd", room="lobby")),
        ("say lobby hello  there", Request(verb="say", room="lobby", message="hello  there")),
        ("say lobby", Request(verb="say", room="lobby")),
        ("paramAdd key=a=b c", Request(verb="paramAdd", key="key", value="a=b c")),
        ("paramAdd key value", Request(verb="paramAdd", key="key", value="value")),
        ("paramView key", Request(verb="paramView", key="key", value="")),
        ("file index.html", Request(verb="file")),
        ("detailsView", Request(verb="detailsView")),
        ("randomNumber", Request(verb="action", params={"action": "randomNumber"})),
        ("{not json", Request(verb="action", params={"action": "{not"})),
        ('{"action":"a","params":{"k":1}}', Request(verb="action", params={"action": "a", "k": 1})),
        (
            '{"action":"a","params":{"messageId":"m"}}',
            Request(verb="action", message_id="m", params={"action": "a", "messageId": "m"}),
        ),
    ],
)
def test_line_is_a_verb_with_words_or_an_action(line: str, expected: Request) -> None:
    assert read_line(line, {}) == expected


def test_parameters_stay_until_json_replaces_them() -> None:
    params: dict[str, Any] = {"key": "old", "messageId": "mine"}
    first = read_line("greet", params)
    assert first.params == {"key": "old", "messageId": "mine", "action": "greet"}
    assert first.message_id == "mine"
    assert read_line("roomAdd lobby", params).message_id == "mine"
    assert read_line('{"action":"greet","params":{"name":"ann"}}', params).params == {
        "name": "ann",
        "action": "greet",
    }
    assert params == {"name": "ann", "action": "greet"}


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ('"primus::pong::1700000000000"', Pong()),
        ('"primus::id::"', AsksId()),
        (
            '{"event":"say","room":"r","message":"hi","messageId":3}',
            Request(verb="say", room="r", message="hi", message_id=3),
        ),
        ('{"message":"hi","room":"r","event":"say"}', Request(verb="say", room="r", message="hi")),
        (
            '{"event":"say","room":"r","words":"hi","more":"you"}',
            Request(verb="say", room="r", message="hi you"),
        ),
        (
            '{"event":"action","params":{"action":"greet","name":"ann"},"messageId":"x"}',
            Request(verb="action", message_id="x", params={"action": "greet", "name": "ann"}),
        ),
        ('{"event":"action"}', Request(verb="action")),
        ('{"event":null,"messageId":true}', Request(verb="null")),
    ],
)
def test_frame_is_an_event_or_of_primus(frame: str, expected: Any) -> None:
    assert read_frame(frame) == expected


@pytest.mark.parametrize("frame", ["", "{", "[]", "7", '"primus::server::close"', '"text"', "[" * 2000])
def test_other_frames_are_refused(frame: str) -> None:
    with pytest.raises(NotARequestError):
        read_frame(frame)


def test_rooms_follow_the_answers_of_the_service() -> None:
    hero = connection()
    add = Request(verb="roomAdd", room="r")
    first, second = run(hero.decide(add)), run(hero.decide(add))
    assert first == second == Runs("roomJoin", ("r",))
    assert finished(hero, add, first, None, [1])["data"] is True
    assert finished(hero, add, second, None, [1])["data"] is True
    assert (hero.details()["rooms"], hero.joining) == (["r"], {})
    assert reply(hero.decide(add)) == {"error": "connection already in this room (r)", "context": "response"}
    leave = Request(verb="roomLeave", room="r")
    refused = finished(hero, leave, run(hero.decide(leave)), failure("Hotel California"), [])
    assert refused["error"] == "Hotel California"
    assert hero.details()["rooms"] == ["r"]
    assert finished(hero, leave, run(hero.decide(leave)), None, [0]) == {
        "status": "OK",
        "context": "response",
        "data": True,
    }
    assert reply(hero.decide(leave))["error"] == "connection not in this room (r)"


def test_leave_may_follow_a_join_that_is_not_answered() -> None:
    hero = connection()
    hero.decide(Request(verb="roomAdd", room="r"))
    assert run(hero.decide(Request(verb="roomLeave", room="r"))).event == "roomLeave"


def test_rooms_follow_changes_by_the_server() -> None:
    hero = connection()
    hero.note("roomJoinedEcho", ("r", "other", 2))
    assert hero.details()["rooms"] == []
    hero.note("roomJoinedEcho", ("r", "c1", 1))
    hero.note("roomJoinedEcho", ("s", "c1", 1))
    hero.note("roomLeftEcho", ("s", "other", 1))
    assert hero.details()["rooms"] == ["r", "s"]
    hero.note("roomLeftEcho", ("s", "c1", 0))
    hero.note("roomAccessRemoved", ("r",))
    assert hero.details()["rooms"] == []


@pytest.mark.parametrize(
    ("verb", "code", "text"),
    [
        ("roomAdd", "noRoom", "room does not exist"),
        ("roomView", "noRoom", "connection not in this room (r)"),
        ("roomView", "notJoined", "connection not in this room (r)"),
        ("say", "noRoom", "connection not in this room (r)"),
        ("say", "notJoined", "connection not in this room (r)"),
        ("roomAdd", "notAllowed", "Action is not allowed"),
    ],
)
def test_errors_of_the_service_have_the_texts_of_actionhero(verb: str, code: str, text: str) -> None:
    for hero, raw in ((connection(lines=True), True), (connection(lines=False), False)):
        request = Request(verb=verb, room="r", message="hi")
        answer = finished(hero, request, run(hero.decide(request)), failure(code, "r", raw=raw), [])
        prefix = "" if hero.has_lines else "Error: "
        assert answer["error"] == prefix + text
        assert answer.get("status", answer["error"]) == answer["error"]


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (Request(verb="roomAdd"), "a room is required"),
        (Request(verb="roomLeave", room="r"), "connection not in this room (r)"),
        (Request(verb="say", room="r"), "both room and message are required"),
        (Request(verb="say", message="hi"), "both room and message are required"),
        (Request(verb="file"), "that file is not found"),
        (Request(verb="dance"), "verb not found or not allowed (dance)"),
        (Request(verb="action"), "unknown action or invalid apiVersion"),
        (Request(verb="action", params={"action": "greet"}), "name is a required parameter for this action"),
        (Request(verb="paramAdd"), "key is a required parameter for this action"),
    ],
)
def test_requests_that_are_refused_at_once(request_: Request, text: str) -> None:
    assert reply(connection().decide(request_))["error"] == text


def test_websocket_has_no_lasting_parameters() -> None:
    answer = reply(connection(lines=False).decide(Request(verb="paramAdd", key="k", value="v")))
    assert answer["error"] == "Error: verb not found or not allowed (paramAdd)"


def test_actions_take_parameters_by_name() -> None:
    hero = connection()
    params = {"action": "greet", "name": "ann", "loud": "true", "apiVersion": "1", "unknown": "?"}
    assert run(hero.decide(Request(verb="action", params=params))).args == ("ann", {"loud": True})
    assert run(hero.decide(Request(verb="action", params={"action": "sleep", "seconds": "0.5"}))).args == (
        0.5,
    )
    assert run(hero.decide(Request(verb="action", params={"action": "all", "a": 1}))).args == ({"a": 1},)
    own = {"action": "bound", "x": 1}
    assert run(hero.decide(Request(verb="action", params=own))) == Runs("bound", ({"x": 1},))


def test_answers_of_actions_are_the_result_itself() -> None:
    hero = connection()
    request = Request(verb="action", params={"action": "greet", "name": "ann"})
    for results, expected in (
        ([{"hello": "ann"}], {"hello": "ann", "context": "response"}),
        ([[1]], {"data": [1], "context": "response"}),
        ([None], {"context": "response"}),
    ):
        assert finished(hero, request, run(hero.decide(request)), None, results) == expected
    refused = finished(hero, request, run(hero.decide(request)), failure("noCommand", "greet"), [])
    assert refused == {"error": "unknown action or invalid apiVersion", "context": "response"}
    assert (hero.total_actions, hero.pending_actions) == (4, 0)


def test_one_action_too_many_is_refused_and_the_next_is_not() -> None:
    hero = connection(pending_actions=2)
    request = Request(verb="action", params={"action": "sleep", "seconds": 1})
    runs = [run(hero.decide(request)) for _ in range(2)]
    assert reply(hero.decide(request))["error"] == "you have too many pending requests"
    assert (hero.total_actions, hero.pending_actions) == (3, 2)
    finished(hero, request, runs[0], None, [None])
    run(hero.decide(request))


def test_parameters_are_bounded() -> None:
    hero = connection(params=2, params_size=100)
    add = [
        Request(verb="paramAdd", key=key, value=value) for key, value in (("a", "1"), ("b", "2"), ("c", "3"))
    ]
    assert [reply(hero.decide(item)).get("status") for item in add] == ["OK", "OK", None]
    long = Request(verb="paramAdd", key="a", value="x" * 100)
    assert reply(hero.decide(long))["error"] == "you have too many parameters"
    assert reply(hero.decide(Request(verb="paramsView")))["data"] == {"a": "1", "b": "2"}
    reply(hero.decide(Request(verb="paramDelete", key="a")))
    assert reply(hero.decide(Request(verb="paramView", key="a")))["data"] is None
    reply(hero.decide(Request(verb="paramsDelete")))
    assert hero.params == {}


def test_quit_ends() -> None:
    assert connection().decide(Request(verb="quit")) == End()
    assert connection(lines=False).decide(Request(verb="exit")) == End()


def test_details_are_those_of_the_connection() -> None:
    assert reply(connection().decide(Request(verb="detailsView")))["data"] == {
        "id": "c1",
        "fingerprint": "f1",
        "remoteIP": "127.0.0.1",
        "remotePort": 4000,
        "params": {},
        "connectedAt": 123,
        "rooms": [],
        "totalActions": 0,
        "pendingActions": 0,
    }


def test_forms_of_a_room_and_of_a_message() -> None:
    members = [
        {"userName": "__proto__", "joinedAt": 1, "sockets": 1},
        {"userName": "ann", "joinedAt": 2, "sockets": 1, "details": {"id": "not hers", "mood": "good"}},
    ]
    assert room_view({"roomName": "r", "membersCount": 9, "members": members}) == {
        "room": "r",
        "membersCount": 9,
        "members": {
            "__proto__": {"id": "__proto__", "joinedAt": 1},
            "ann": {"id": "ann", "joinedAt": 2, "mood": "good"},
        },
    }
    stored = {"id": 3, "timestamp": 99, "author": "ann"}
    assert payload_of("r", {**stored, "textMessage": "hi"}) == {
        "message": "hi",
        "room": "r",
        "from": "ann",
        "context": "user",
        "sentAt": 99,
    }
    server = payload_of("r", {"id": 1, "timestamp": 1, "author": None, "image": "cat"})
    assert (server["from"], server["message"]) == ("0", {"image": "cat"})


def test_view_of_a_room_reads_pages_up_to_its_limit() -> None:
    hero = connection(members=3)
    request = Request(verb="roomView", room="r")
    first = run(hero.decide(request))
    assert first.args == ("r", {"limit": 3})
    member = {"joinedAt": 1, "sockets": 1}
    page = {"roomName": "r", "membersCount": 9, "cursor": "c", "members": [{"userName": "a", **member}]}
    second = hero.finish(
        request, first, None, [{**page, "members": [{"userName": u, **member} for u in "ab"]}]
    )
    assert isinstance(second, Runs)
    assert second.args == ("r", {"limit": 1, "cursor": "c"})
    view = hero.finish(request, second, None, [{**page, "members": [{"userName": "c", **member}]}])
    assert not isinstance(view, Runs)
    assert (list(view["data"]["members"]), view["data"]["membersCount"]) == (["a", "b", "c"], 9)
    # A hook of the command may answer something else.
    assert hero.finish(request, first, None, ["closed"]) == hero.success("closed")


def test_documentation_names_the_parameters_of_an_action() -> None:
    shown = documentation({"greet": GREET})["greet"]["1"]
    assert (shown["name"], shown["version"], shown["description"]) == ("greet", 1, "Greets.")
    assert {name: item["required"] for name, item in shown["inputs"].items()} == {"name": True, "loud": False}


#: What frames and lines may contain, and what they should not.
_SCALARS = st.sampled_from(
    [None, True, 0, -1.5, 1e300, 2**70, "", "say", "action", "roomAdd", "greet", "\ud800"]
)
_VALUES = (
    _SCALARS | st.lists(_SCALARS, max_size=2) | st.dictionaries(st.sampled_from(["name", "loud"]), _SCALARS)
)
_KEYS = st.sampled_from(["event", "room", "message", "messageId", "params", "action"])
_OBJECTS = st.dictionaries(_KEYS, _VALUES)
_WORDS = st.lists(st.sampled_from([*LINE_VERBS, "file", "greet", "lobby", "=", "a=b", "{", "\x00", "é"]))


@settings(max_examples=50)
@given(_OBJECTS | _VALUES, _WORDS)
def test_whatever_a_client_sends_has_an_answer(value: Any, words: list[str]) -> None:
    text = json.dumps(value)
    lines, frames = ActionHeroDialect().converse(client()), PrimusDialect().converse(client())
    for conversation, received in ((lines, text), (lines, " ".join(words)), (frames, text)):
        for step in conversation.receive(received):
            if isinstance(step, Run):
                error = failure("noRoom", "r")
                (step,) = conversation.answered(step.tag, (error, None))
            if isinstance(step, Send):
                assert isinstance(json.loads(step.data), dict | str)
