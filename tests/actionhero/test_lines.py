"""ActionHero's dialect on bare lines of TCP, as telnet and programs of the application send them."""

import json
from typing import Any

import pytest

from chat_service import ChatServiceError
from tests.actionhero.conftest import Serve
from tests.actionhero.heroes import Heroes
from tests.support.backends import ONE_STORE

pytestmark = [ONE_STORE, pytest.mark.usefixtures("no_error_logs")]

BYE = {"status": "Bye", "context": "api"}


@pytest.mark.parametrize("word", ["quit", "exit"])
async def test_quit_says_goodbye_and_ends(serve: Serve, heroes: Heroes, word: str) -> None:
    service, _ = await serve()
    line = await heroes.telnet(service)
    line.write(f"{word}\r\n")
    assert await line.read() == BYE
    assert await line.rest() == b""


@pytest.mark.parametrize("keys", [b"\x04", b"\xff\xf4\xff\xfd\x06"], ids=["Ctrl-D", "Ctrl-C of telnet"])
async def test_control_keys_end_the_session(serve: Serve, heroes: Heroes, keys: bytes) -> None:
    service, _ = await serve()
    line = await heroes.telnet(service)
    line.write(keys)
    assert await line.read() == BYE
    assert await line.rest() == b""


async def test_lines_end_with_or_without_a_carriage_return(serve: Serve, heroes: Heroes) -> None:
    service, _ = await serve()
    line = await heroes.telnet(service)
    line.write("\r\n\n  \nroomAdd lobby\nsay lobby one\r\nsay lobby two\n")
    found = [await line.read() for _ in range(5)]
    assert [body["message"] for body in found if body["context"] == "user"] == ["one", "two"]
    # Blank lines are no requests.
    assert [body["messageCount"] for body in found if body["context"] == "response"] == [1, 2, 3]


async def test_delimiter_is_an_option(serve: Serve, heroes: Heroes) -> None:
    service, _ = await serve(lines={"delimiter": "xXxXxX"})
    line = await heroes.telnet(service)
    line.write("detailsViewxXxX")
    line.write('xX{"action":"nothing"}xXxXxX')
    assert (await line.read())["status"] == "OK"
    assert (await line.read())["error"] == "unknown action or invalid apiVersion"


async def test_a_line_too_long_is_refused_and_the_next_is_not(serve: Serve, heroes: Heroes) -> None:
    service, _ = await serve(lines={"max_message_size": 100})
    line = await heroes.telnet(service)
    for size in (101, 1000, 100_000):
        line.write(b"x" * size + b"\r\n")
        refused = await line.read()
        assert (refused["status"], refused["error"]) == ("error", "DATA_LENGTH_TOO_LONG")
    assert (await line.ask("detailsView"))["status"] == "OK"


async def test_ids_of_messages_are_counted_or_given(serve: Serve, heroes: Heroes) -> None:
    service, _ = await serve()
    line = await heroes.telnet(service)
    first, second = await line.ask("detailsView"), await line.ask("detailsView")
    assert (first["messageId"], first["messageCount"], second["messageId"]) == (1, 1, 2)
    await line.ask("paramAdd messageId=aaaaaa")
    assert (await line.ask("detailsView"))["messageId"] == "aaaaaa"
    given = json.dumps({"action": "nothing", "params": {"messageId": "abc123"}})
    assert (await line.ask(given))["messageId"] == "abc123"


async def test_json_replaces_the_params(serve: Serve, heroes: Heroes) -> None:
    service, _ = await serve()
    line = await heroes.telnet(service)
    await line.ask("paramAdd limit=5")
    await line.ask("roomAdd lobby")
    asked = json.dumps({"action": "roomHistoryGet", "params": {"roomName": "lobby", "id": 0}})
    assert (await line.ask(asked))["error"] == "limit is a required parameter for this action"
    # A text of a param is read as a number where one is due.
    await line.ask("paramAdd limit=5")
    assert (await line.ask("roomHistoryGet"))["data"] == []


async def test_bytes_that_are_not_text_end_the_connection(serve: Serve, heroes: Heroes) -> None:
    service, _ = await serve()
    line = await heroes.telnet(service)
    line.write(b"say lobby \xc3\x28\n")
    assert await line.rest() == b""


async def test_welcome_and_texts_are_options(serve: Serve, heroes: Heroes) -> None:
    texts = {"connection_room_not_exist": "kein solcher Raum"}
    service, _ = await serve(dialect={"welcome_message": "Servus", "error_texts": texts})
    line = await heroes.telnet(service, is_greeted=False)
    assert await line.read() == {"welcome": "Servus", "context": "api"}
    assert (await line.ask("roomAdd attic"))["error"] == "kein solcher Raum"
    browser = await heroes.browser(service)
    assert (await browser.ask("roomAdd", "attic"))["error"] == "Error: kein solcher Raum"


async def test_a_refused_login_is_reported(serve: Serve, heroes: Heroes) -> None:
    def refuse(service: Any, socket_id: str) -> None:
        raise ChatServiceError("not now")

    service, _ = await serve(hooks={"on_connect": refuse})
    line = await heroes.telnet(service)
    assert (await line.read())["error"] == "not now"
    assert await line.read() == BYE


async def test_guests_need_permission(serve: Serve, heroes: Heroes) -> None:
    service, _ = await serve(dialect={"guests": False})
    line = await heroes.telnet(service)
    assert (await line.read())["error"] == "No login provided"
