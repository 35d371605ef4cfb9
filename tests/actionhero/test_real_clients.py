"""ActionHero's own clients: the browser client over Primus, and actionhero-client over TCP."""

import asyncio
from typing import Any

import pytest

from chat_service import ChatServiceError
from chat_service.actionhero import Connection
from chat_service.testing import wait_until
from tests.actionhero.conftest import Serve
from tests.actionhero.heroes import Hero, Heroes
from tests.support.backends import ONE_STORE

pytestmark = pytest.mark.usefixtures("no_error_logs")
BOTH_STORES = pytest.mark.parametrize("backend", ["memory", "redis"], indirect=True)
KINDS = pytest.mark.parametrize("kind", ["browser", "tcp"])


async def connect(heroes: Heroes, kind: str, service: Any, **options: Any) -> Hero:
    hero: Hero = await getattr(heroes, kind)(service, **options)
    return hero


def refusal(kind: str, text: str) -> str:
    """The browser client has always got errors of verbs in this form."""
    return f"Error: {text}" if kind == "browser" else text


@KINDS
@ONE_STORE
async def test_client_joins_talks_and_leaves(serve: Serve, heroes: Heroes, kind: str) -> None:
    service, _ = await serve()
    ann, bob = await connect(heroes, kind, service), await connect(heroes, kind, service)
    assert "Welcome" in str(await ann.wait_for("welcome"))
    for hero in (ann, bob):
        answer = await hero.ask("roomAdd", "lobby")
        assert (answer["status"], answer["data"], answer["context"]) == ("OK", True, "response")
    answer = await ann.ask("say", "lobby", "hello there")
    assert (answer["status"], answer["data"]) == ("OK", None)
    for hero in (ann, bob):
        message = await hero.said()
        assert (message["message"], message["from"]) == ("hello there", ann.id)
    assert (await bob.ask("roomLeave", "lobby"))["data"] is True
    assert (await bob.ask("roomView", "lobby"))["error"] == refusal(
        kind, "connection not in this room (lobby)"
    )
    assert (await bob.ask("say", "lobby", "?"))["error"] == refusal(
        kind, "connection not in this room (lobby)"
    )
    assert (await bob.ask("roomLeave", "lobby"))["error"] == refusal(
        kind, "connection not in this room (lobby)"
    )
    assert (await bob.ask("roomAdd", "attic"))["error"] == refusal(kind, "room does not exist")
    assert (await ann.ask("roomAdd", "lobby"))["error"] == refusal(
        kind, "connection already in this room (lobby)"
    )


@ONE_STORE
async def test_payload_of_a_message_has_the_fields_of_actionhero(serve: Serve, heroes: Heroes) -> None:
    service, chat = await serve()
    ann = await heroes.browser(service)
    await ann.ask("roomAdd", "lobby")
    await ann.ask("say", "lobby", "hi")
    message = await ann.said()
    assert message.pop("sentAt") > 0
    assert message == {"message": "hi", "room": "lobby", "from": ann.id, "context": "user"}
    await chat.broadcast({}, "lobby", {"score": [1, 2]})
    message = await ann.said()
    assert (message["message"], message["from"]) == ({"score": [1, 2]}, "0")
    await chat.broadcast({"id": "umpire"}, "lobby", ["set", 1])
    message = await ann.said()
    assert (message["message"], message["from"]) == (["set", 1], "umpire")


@BOTH_STORES
async def test_rooms_of_all_instances_and_transports_are_the_same(serve: Serve, heroes: Heroes) -> None:
    here, there = await serve(), await serve()
    ann, bob = await heroes.browser(here.service), await heroes.tcp(there.service)
    line = await heroes.telnet(there.service)
    for hero in (ann, bob):
        await hero.ask("roomAdd", "lobby")
    await line.ask("roomAdd lobby")
    view = (await ann.ask("roomView", "lobby"))["data"]
    assert (view["room"], view["membersCount"]) == ("lobby", 3)
    assert all(
        set(member) == {"id", "joinedAt"} and member["id"] == key for key, member in view["members"].items()
    )
    joined = [view["members"][hero.id]["joinedAt"] for hero in (ann, bob)]
    assert joined == sorted(joined)
    await bob.ask("say", "lobby", "hi from TCP")
    assert (await ann.said())["message"] == "hi from TCP"
    assert (await line.read())["message"] == "hi from TCP"


@ONE_STORE
async def test_view_shows_more_members_than_a_page_has(serve: Serve, heroes: Heroes) -> None:
    service, _ = await serve(members_per_page_limit=2)
    clients = [await heroes.browser(service) for _ in range(5)]
    for hero in clients:
        await hero.ask("roomAdd", "lobby")
    view = (await clients[0].ask("roomView", "lobby"))["data"]
    assert (view["membersCount"], set(view["members"])) == (5, {hero.id for hero in clients})


@KINDS
@ONE_STORE
async def test_details_of_the_connection(serve: Serve, heroes: Heroes, kind: str) -> None:
    service, _ = await serve()
    ann = await connect(heroes, kind, service)
    await ann.ask("roomAdd", "lobby")
    details = (await ann.ask("detailsView"))["data"]
    assert list(details) == [
        "id",
        "fingerprint",
        "remoteIP",
        "remotePort",
        "params",
        "connectedAt",
        "rooms",
        "totalActions",
        "pendingActions",
    ]
    assert (details["id"], details["fingerprint"]) == (ann.id, ann.id)
    assert (details["remoteIP"], details["params"], details["rooms"]) == ("127.0.0.1", {}, ["lobby"])
    assert details["remotePort"] > 0
    assert details["connectedAt"] > 1.6e12


@ONE_STORE
async def test_cookie_of_the_browser_is_the_fingerprint(serve: Serve, heroes: Heroes) -> None:
    service, _ = await serve()
    ann = await heroes.browser(service, cookie="sessionID=abc")
    assert (await ann.ask("detailsView"))["data"]["fingerprint"] == "abc"


@ONE_STORE
async def test_two_joins_at_once_make_one_membership(serve: Serve, heroes: Heroes) -> None:
    service, _ = await serve()
    ann = await heroes.browser(service)
    answers = await ann.ask_all(("roomAdd", "lobby"), ("roomAdd", "lobby"))
    # The second one may find that the first one is done.
    found = [answer.get("data", answer.get("error")) for _, answer in answers]
    assert True in found
    assert set(found) <= {True, "Error: connection already in this room (lobby)"}
    assert await ann.read("rooms") == [["lobby"]]
    assert (await ann.ask("roomView", "lobby"))["data"]["membersCount"] == 1


@KINDS
@ONE_STORE
async def test_answers_come_out_of_order_and_belong_to_their_requests(
    serve: Serve, heroes: Heroes, kind: str
) -> None:
    service, _ = await serve()
    slow = asyncio.Event()

    @service.command("slow", arguments={"name": "text"})
    async def slowly(call: Any, name: str) -> dict[str, str]:
        await slow.wait()
        return {"slow": name}

    @service.command("fast", arguments={"name": "text"})
    async def fast(call: Any, name: str) -> dict[str, str]:
        slow.set()
        return {"fast": name}

    ann = await connect(heroes, kind, service)
    method = "action" if kind == "browser" else "actionWithParams"
    answers = await ann.ask_all((method, "slow", {"name": "a"}), (method, "fast", {"name": "b"}))
    assert [index for index, _ in answers] == [1, 0]
    (_, first), (_, second) = answers
    assert (first["fast"], second["slow"]) == ("b", "a")
    assert first["messageCount"] == second["messageCount"] + 1
    if kind == "browser":
        own = await ann.ask("action", "fast", {"name": "c", "messageId": "aaa"})
        assert own["messageId"] == "aaa"
    missing = await ann.ask(method, "fast", {})
    assert missing["error"] == "name is a required parameter for this action"
    unknown = await ann.ask(method, "nothing", {})
    assert unknown["error"] == "unknown action or invalid apiVersion"


@KINDS
@ONE_STORE
async def test_sixth_pending_action_is_refused(serve: Serve, heroes: Heroes, kind: str) -> None:
    service, _ = await serve()
    refused = asyncio.Event()

    @service.command("wait", arguments={"name": "text"})
    async def wait(call: Any, name: str) -> None:
        await refused.wait()

    ann = await connect(heroes, kind, service)
    method = "action" if kind == "browser" else "actionWithParams"
    asking = asyncio.create_task(ann.ask_all(*((method, "wait", {"name": str(n)}) for n in range(6))))
    details: dict[str, Any] = {}

    while details.get("totalActions", 0) < 6:
        details = (await ann.ask("detailsView"))["data"]
    assert details["pendingActions"] == 5
    refused.set()
    answers = await asking
    assert answers[0] == (5, answers[0][1])
    assert answers[0][1]["error"] == "you have too many pending requests"
    assert all("error" not in answer for _, answer in answers[1:])


@ONE_STORE
async def test_library_of_primus_asks_for_the_id(serve: Serve, heroes: Heroes) -> None:
    service, _ = await serve()
    ann = await heroes.browser(service)
    assert await ann.operate("primusId") == ann.id


@ONE_STORE
async def test_disconnect_by_the_server_is_final(serve: Serve, heroes: Heroes) -> None:
    service, _ = await serve()
    ann, bob = await heroes.browser(service), await heroes.browser(service)
    await service.transport.disconnect_socket(ann.id)
    await ann.wait_for("disconnected")
    # A connection that is only lost comes back, as another one.
    await bob.operate("drop")
    await bob.wait_for("reconnect")
    (is_lost,) = await ann.read("state")
    assert is_lost == "disconnected"
    assert (await bob.ask("detailsView"))["data"]["id"] != bob.id


@ONE_STORE
async def test_documentation_lists_commands(serve: Serve, heroes: Heroes) -> None:
    service, _ = await serve()

    @service.command("greet", arguments={"name": "text"})
    async def greet(call: Any, name: str) -> dict[str, str]:
        """Says hello."""
        return {"greeting": f"Hello, {name}"}

    ann, bob = await heroes.browser(service), await heroes.tcp(service)
    for hero in (ann, bob):
        shown = (await hero.ask("documentation"))["data"]
        assert shown["greet"]["1"]["inputs"]["name"]["required"] is True
        assert shown["roomHistoryGet"]["1"]["inputs"].keys() >= {"roomName", "id", "limit"}
    assert (await ann.ask("action", "greet", {"name": "Ann"}))["greeting"] == "Hello, Ann"


@ONE_STORE
async def test_params_stay_over_tcp_and_not_over_websocket(serve: Serve, heroes: Heroes) -> None:
    service, _ = await serve()

    @service.command("greet", arguments={"name": "text"})
    async def greet(call: Any, name: str) -> dict[str, str]:
        return {"greeting": f"Hello, {name}"}

    bob = await heroes.tcp(service)
    await bob.ask("paramAdd", "name", "Bob")
    assert (await bob.ask("paramView", "name"))["data"] == "Bob"
    for _ in range(2):
        assert (await bob.ask("action", "greet"))["greeting"] == "Hello, Bob"
    assert (await bob.ask("paramsView"))["data"] == {"name": "Bob", "action": "greet"}
    await bob.ask("paramDelete", "name")
    assert "required parameter" in (await bob.ask("action", "greet"))["error"]
    await bob.ask("paramsDelete")
    assert (await bob.ask("paramsView"))["data"] == {}

    ann = await heroes.browser(service)
    assert (await ann.ask("action", "greet", {"name": "Ann"}))["greeting"] == "Hello, Ann"
    assert "required parameter" in (await ann.ask("action", "greet"))["error"]


@KINDS
@ONE_STORE
async def test_client_that_disconnects_is_gone(serve: Serve, heroes: Heroes, kind: str) -> None:
    service, chat = await serve()
    ann = await connect(heroes, kind, service)
    await ann.ask("roomAdd", "lobby")
    await ann.disconnect()
    await wait_until(
        lambda: not service.transport.get_handshake_data(ann.id).is_connected, "the connection is gone"
    )
    # A guest is forgotten.
    while await service.has_user(ann.id):
        await asyncio.sleep(0)
    assert (await chat.room_status("lobby"))["membersCount"] == 0


@KINDS
@ONE_STORE
async def test_text_of_an_application_error_reaches_the_client(
    serve: Serve, heroes: Heroes, kind: str
) -> None:
    service, _ = await serve()

    @service.before("roomMessage")
    async def refuse(call: Any) -> None:
        raise ChatServiceError("No shouting")

    ann = await connect(heroes, kind, service)
    await ann.ask("roomAdd", "lobby")
    assert (await ann.ask("say", "lobby", "HELLO"))["error"] == refusal(kind, "No shouting")


@ONE_STORE
async def test_say_middleware_changes_and_hides_messages_for_each_recipient(
    serve: Serve, heroes: Heroes
) -> None:
    service, chat = await serve()
    ann, bob, cat = await heroes.browser(service), await heroes.tcp(service), await heroes.browser(service)
    for hero in (ann, bob, cat):
        await hero.ask("roomAdd", "lobby")
    types: set[str] = set()

    async def say(connection: Connection, room: str, payload: dict[str, Any]) -> dict[str, Any] | None:
        types.add(connection.type)
        if connection.id == cat.id and payload["message"] != "last":
            return None
        return {**payload, "message": f"{payload['message']} to {connection.id}", "extra": True}

    chat.add_middleware(name="each", say=say)
    await ann.ask("say", "lobby", "hi")
    await ann.ask("say", "lobby", "last")
    for hero in (ann, bob):
        assert [(await hero.said())["message"] for _ in range(2)] == [
            f"hi to {hero.id}",
            f"last to {hero.id}",
        ]
    # A hidden message is none at all.
    message = await cat.said()
    assert (message["message"], message["extra"], message["from"]) == (f"last to {cat.id}", True, ann.id)
    # Middlewares also decide about histories, which have the form of this service.
    newest = (await cat.ask("action", "roomRecentHistory", {"roomName": "lobby"}))["data"]
    assert [item.get("textMessage", "hidden") for item in newest] == [f"last to {cat.id}", "hidden"]
    assert types == {"socket", "websocket"}


@ONE_STORE
async def test_on_say_receive_silences_everybody(serve: Serve, heroes: Heroes) -> None:
    service, chat = await serve()
    ann, bob = await heroes.browser(service), await heroes.tcp(service)
    for hero in (ann, bob):
        await hero.ask("roomAdd", "lobby")

    def receive(connection: Connection, room: str, payload: dict[str, Any]) -> dict[str, Any] | None:
        return None if payload["message"] == "psst" else {**payload, "message": f"{connection.id} says it"}

    chat.add_middleware(name="once", on_say_receive=receive)
    assert (await ann.ask("say", "lobby", "psst"))["status"] == "OK"
    assert (await ann.ask("say", "lobby", "hello"))["status"] == "OK"
    for hero in (ann, bob):
        assert (await hero.said())["message"] == f"{ann.id} says it"


@KINDS
@BOTH_STORES
async def test_announcements_reach_the_leaver_and_not_the_joiner(
    serve: Serve, heroes: Heroes, kind: str
) -> None:
    service, chat = await serve()

    async def join(connection: Connection, room: str) -> None:
        await chat.broadcast({}, room, f"in: {connection.id}")

    async def leave(connection: Connection, room: str) -> None:
        await chat.broadcast({}, room, f"out: {connection.id}")

    chat.add_middleware(name="announce", join=join, leave=leave)
    ann, bob = await connect(heroes, kind, service), await connect(heroes, kind, service)
    for hero in (ann, bob):
        await hero.ask("roomAdd", "lobby")
    assert ((await ann.said())["message"]) == f"in: {bob.id}"
    await bob.ask("roomLeave", "lobby")
    for hero in (ann, bob):
        message = await hero.said()
        assert (message["message"], message["from"]) == (f"out: {bob.id}", "0")
    cat = await connect(heroes, kind, service)
    await cat.ask("roomAdd", "lobby")
    assert ((await ann.said())["message"]) == f"in: {cat.id}"
    await cat.disconnect()
    assert ((await ann.said())["message"]) == f"out: {cat.id}"


@KINDS
@ONE_STORE
async def test_refused_leave_stays_in(serve: Serve, heroes: Heroes, kind: str) -> None:
    service, chat = await serve()

    async def leave(connection: Connection, room: str) -> None:
        raise ChatServiceError("Hotel California")

    ann = await connect(heroes, kind, service)
    chat.add_middleware(name="hotel", leave=leave)
    await ann.ask("roomAdd", "lobby")
    assert (await ann.ask("roomLeave", "lobby"))["error"] == refusal(kind, "Hotel California")
    assert (await ann.ask("detailsView"))["data"]["rooms"] == ["lobby"]
    chat.add_middleware(name="hotel")


@KINDS
@ONE_STORE
async def test_server_adds_removes_and_destroys(serve: Serve, heroes: Heroes, kind: str) -> None:
    service, chat = await serve()
    await chat.add("attic")
    ann = await connect(heroes, kind, service)
    for room in ("lobby", "attic"):
        assert await chat.add_member(ann.id, room) is True
    assert (await ann.ask("detailsView"))["data"]["rooms"] == ["lobby", "attic"]
    await chat.remove_member(ann.id, "lobby")
    assert (await ann.ask("detailsView"))["data"]["rooms"] == ["attic"]
    await chat.destroy("attic")
    message = await ann.said()
    assert (message["message"], message["from"]) == ("this room has been deleted", "0")
    assert (await ann.ask("detailsView"))["data"]["rooms"] == []
