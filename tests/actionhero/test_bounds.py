"""ActionHero's clients, too: presence, lost access, limits, slow readers and drain."""

import json

import pytest

from chat_service.testing import wait_until
from tests.actionhero.conftest import Serve
from tests.actionhero.heroes import Heroes
from tests.support.backends import ONE_STORE

pytestmark = [ONE_STORE, pytest.mark.usefixtures("no_error_logs")]


async def test_presence_and_lost_access_are_events(serve: Serve, heroes: Heroes) -> None:
    service, chat = await serve(enable_userlist_updates=True)
    await chat.add("den")
    line, browser = await heroes.telnet(service), await heroes.browser(service)
    await line.ask("roomAdd den")
    await browser.ask("roomAdd", "den")
    own = (await line.ask("detailsView"))["data"]["id"]
    (told,) = await browser.wait_for("api")
    assert (told["event"], told["args"]) == ("roomUserJoined", ["den", browser.id])
    await service.exec_user_command(True, "roomAddToList", "den", "blacklist", [own])
    (told,) = await browser.wait_for("api")
    assert (told["event"], told["args"]) == ("roomUserLeft", ["den", own])
    while (told := await line.read()).get("event") != "roomAccessRemoved":
        assert told["context"] == "api"
    assert (await line.ask("detailsView"))["data"]["rooms"] == []
    assert (await line.ask("roomAdd den"))["error"] == "Action is not allowed"


async def test_commands_are_limited_in_their_rate(serve: Serve, heroes: Heroes) -> None:
    service, _ = await serve(command_rate=0.001, command_burst=3)
    line = await heroes.telnet(service)
    await line.ask("roomAdd lobby")
    answers = [await line.ask("say lobby hi") for _ in range(4)]
    assert answers[0]["status"] == "OK"
    assert answers[-1]["error"].startswith("Rate limit exceeded, retry in")


async def test_client_that_does_not_read_is_cut_and_others_are_not(serve: Serve, heroes: Heroes) -> None:
    service, chat = await serve(lines={"send_buffer_limit": 100_000})
    slow, browser = await heroes.telnet(service), await heroes.browser(service)
    own = (await slow.ask("detailsView"))["data"]["id"]
    await slow.ask("roomAdd lobby")
    await browser.ask("roomAdd", "lobby")
    text, sent = "x" * 50_000, 0
    while service.transport.get_handshake_data(own).is_connected:
        await chat.broadcast(None, "lobby", text)
        sent += 1
    await wait_until(lambda: len(browser.received("say")) == sent, "the other client hears everything")


async def test_drain_says_goodbye_to_lines(serve: Serve, heroes: Heroes) -> None:
    service, _ = await serve(drain_delay=0.0, drain_seconds=0.0)
    line = await heroes.telnet(service)
    await line.ask("roomAdd lobby")
    await service.drain()
    assert json.loads(await line.rest()) == {"status": "Bye", "context": "api"}


async def test_frame_with_very_many_values_is_refused(serve: Serve, heroes: Heroes) -> None:
    service, _ = await serve()
    line = await heroes.telnet(service)
    await line.ask("paramAdd key=value")
    # It is no request in JSON, and so the name of an action.
    refused = await line.ask('{"action":"x","params":{"a":[' + "0," * 26_000 + "0]}}")
    assert refused["error"] == "unknown action or invalid apiVersion"
    assert (await line.ask("paramView key"))["data"] == "value"
