"""Access to the HTTP API: tokens, scopes, wrong tokens, limits, and the audit log."""

import asyncio
import hmac
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from chat_service import ChatService, ConfigurationError, Options, guesses
from chat_service.errors import ERROR_TEXTS, StoreRefusedError, StoreTimeoutError
from chat_service.guesses import Failures
from chat_service.http_api.api_options import ApiOptions
from chat_service.http_api.api_tokens import find_token
from chat_service.http_api.problems import STATUSES
from chat_service.http_api.routes import TABLE
from tests.http_api.programs import OPTIONS, TOKENS, Program, program, start
from tests.support.parts import parts_of
from tests.support.world import Instance, World

HELLO = {"message": {"textMessage": "hello"}}
LONG = "x" * 32


@pytest.fixture
async def instance(one_store: World) -> Instance:
    made = await start(one_store)
    await made.service.add_room("room")
    return made


@pytest.fixture
async def api(instance: Instance) -> AsyncIterator[Program]:
    async with program(instance) as made:
        yield made


def filled(path: str) -> str:
    return path.replace("{list}", "whitelist").replace("{", "").replace("}", "")


# Scopes


@pytest.mark.covers("api_option:tokens")
async def test_each_route_needs_its_scope(api: Program) -> None:
    for route in TABLE:
        path = filled(route.path)
        for scope in TOKENS:
            body: Any = None if route.body is None else {}
            answer = await api.ask(route.method, path + "?wrong=1", body, scope=scope)
            is_allowed = scope in (route.scope, "admin")
            assert (answer.status == 403) is not is_allowed, (route.path, scope, answer)
            if not is_allowed:
                assert answer.data == {
                    "code": "forbidden",
                    "args": [route.scope],
                    "message": f"This needs a token with the scope {route.scope}",
                }
        without = await api.ask(route.method, path, scope=None)
        assert (without.status, without.data["code"]) == (401, "unauthorized")
        assert without.headers["www-authenticate"].startswith("Bearer")


async def test_it_is_off_without_a_token(one_store: World) -> None:
    made = await one_store.start(operations_port=0)
    assert not made.service.operations.has_api
    async with program(made) as api:
        for path in ("/", "/openapi.json", "/rooms"):
            assert (await api.ask("GET", path)).status == 404


@pytest.mark.covers("api_option:tokens_file")
async def test_tokens_of_a_file_and_of_lines(one_store: World, tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"# for the workers\ncelery:write,read:{TOKENS['write']}\n\n", "utf-8")
    made = await start(one_store, {"tokens": f"ci:read:{TOKENS['read']}", "tokens_file": str(path)})
    async with program(made) as api:
        assert (await api.ask("GET", "/rooms", scope="write")).status == 200
        assert (await api.ask("GET", "/rooms", scope="read")).status == 200
        assert (await api.ask("GET", "/rooms", scope="admin")).status == 401


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        ({"tokens": 5}, "api_options tokens: expected a mapping of names or lines"),
        ({"tokens": {"ci": LONG}}, "api_options tokens 'ci': expected"),
        ({"tokens": {"ci": {"token": "x" * 31, "scopes": ["read"]}}}, "a token has 32 or more ASCII"),
        ({"tokens": {"ci": {"token": LONG, "scopes": ["reed"]}}}, "expected scopes of read, write, admin"),
        ({"tokens": {"ci": {"token": LONG, "scopes": []}}}, "got none"),
        ({"tokens": {"ci": {"token": LONG, "scopes": "read"}}}, "expected a list of scopes, got 'read'"),
        ({"tokens": f"ci {LONG}"}, "api_options tokens: entry 1 is not of the form"),
        ({"tokens": f"ci:read:{LONG} ci:read:{LONG}"}, "the name 'ci' occurs twice"),
        ({"tokens_file": "/nowhere/tokens"}, "tokens_file /nowhere/tokens: No such file"),
        ({"tokens_file": 5}, "tokens_file: expected a path, got 5"),
        ({"console": "yes"}, "api_options console: expected true or false, got 'yes'"),
        ({"max_page_sise": 5}, "unknown api_options max_page_sise; did you mean max_page_size?"),
    ],
)
def test_bad_options_are_refused_and_show_no_token(bad: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ChatService(api_options=bad)
    assert text in str(caught.value)
    assert "xxx" not in str(caught.value)


@pytest.mark.parametrize(
    "name", [item for item in ApiOptions.__slots__ if not item.startswith(("tokens", "console"))]
)
def test_bounds_are_numbers(name: str) -> None:
    for bad in (0, -1, "5", None, True):
        with pytest.raises(ConfigurationError, match=f"api_options {name}: expected"):
            ApiOptions.from_mapping({name: bad})


def test_tokens_show_nowhere() -> None:
    for shown in (
        repr(Options(api_options=OPTIONS)),
        repr(ApiOptions.from_mapping(OPTIONS)),
        repr(ApiOptions.from_mapping(OPTIONS).known_tokens()),
    ):
        assert not any(token in shown for token in TOKENS.values())
    with pytest.raises(ConfigurationError) as caught:
        Options(api_options=TOKENS["read"])  # type: ignore[arg-type]
    assert TOKENS["read"] not in str(caught.value)


def test_tokens_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared, real = [], hmac.compare_digest

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    tokens = ApiOptions.from_mapping(OPTIONS).known_tokens()
    for given, name in (
        (TOKENS["read"], "for-read"),
        (TOKENS["admin"], "for-admin"),
        ("", None),
        ("é", None),
    ):
        compared.clear()
        found = find_token(tokens, given)
        assert (None if found is None else found.name) == name
        # All digests, which have equal lengths, whichever matches.
        assert compared == [(32, 32)] * len(tokens)


# Wrong tokens


@pytest.mark.covers("api_option:max_failures")
async def test_wrong_tokens_are_limited_and_logged_without_themselves(
    one_store: World, caplog: pytest.LogCaptureFixture
) -> None:
    made = await start(one_store, {"max_failures": 3})
    guess = {"Authorization": "Bearer guess-" + "0" * 40}
    async with program(made) as api:
        with caplog.at_level(logging.INFO):
            answers = [await api.ask("GET", "/rooms", headers=guess) for _ in range(6)]
        assert [answer.status for answer in answers] == [401] * 3 + [429] * 3
        assert 0 < int(answers[-1].headers["retry-after"]) <= 61
        # Wrong tokens do not lock out other clients.
        assert (await api.ask("GET", "/rooms")).status == 200
    lines = [record.getMessage() for record in caplog.records if "wrong token" in record.getMessage()]
    assert len(lines) == 4 and all("127.0.0.1" in line for line in lines)
    assert "guess" not in caplog.text


def test_failures_are_forgotten_after_a_minute_and_bounded() -> None:
    failures = Failures(2)
    assert [failures.note("a", now)[0] for now in (0.0, 1.0, 59.9)] == [1, 2, 3]
    assert failures.note("a", 60.0)[0] == 1
    for number in range(guesses.MAX_ADDRESSES + 1):
        failures.note(str(number), 61.0)
    assert failures.note("a", 62.0)[0] == 1
    assert len(failures._counts) == guesses.MAX_ADDRESSES


# Audit


async def test_each_write_has_one_audit_line(api: Program, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "chat_service.audit"):
        await api.ask("POST", "/rooms/room/messages", HELLO, scope="write")
        await api.ask("POST", "/batch", {"messages": [{"room": "room", **HELLO}] * 3}, scope="write")
        await api.ask("DELETE", "/rooms/no%0Awhere")
        await api.ask("DELETE", "/rooms/room", scope="read")
        await api.ask("POST", "/rooms/room/messages", {}, scope="write")
        await api.ask("GET", "/rooms", scope="read")
    lines = [record.getMessage() for record in caplog.records if record.name == "chat_service.audit"]
    assert lines == [
        "token=for-write POST /rooms/room/messages status=201 from=127.0.0.1 id=1",
        "token=for-write POST /batch status=200 from=127.0.0.1 messages=3 failed=0",
        "token=for-admin DELETE /rooms/no%0Awhere status=400 from=127.0.0.1",
        "token=for-read DELETE /rooms/room status=403 from=127.0.0.1",
        "token=for-write POST /rooms/room/messages status=400 from=127.0.0.1",
    ]


async def test_an_interrupted_write_is_audited(caplog: pytest.LogCaptureFixture, one_store: World) -> None:
    made = await start(one_store)
    await made.service.add_room("room")
    entered = asyncio.Event()

    async def hang(call: Any) -> None:
        entered.set()
        await asyncio.Event().wait()

    made.service.before("roomMessage")(hang)
    caplog.set_level(logging.INFO, "chat_service.audit")
    app = made.service.operations.asgi_api_app()
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/rooms/room/messages",
        "headers": [
            (b"authorization", f"Bearer {TOKENS['write']}".encode()),
            (b"content-type", b"application/json"),
        ],
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b'{"message": {"textMessage": "hello"}}'}

    async def send(event: Any) -> None:
        pytest.fail(f"an answer: {event}")

    asking = asyncio.create_task(app(scope, receive, send))
    await entered.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    lines = [record.getMessage() for record in caplog.records if record.name == "chat_service.audit"]
    assert lines == ["token=for-write POST /rooms/room/messages status=499 from=unknown"]


# Bounds


@pytest.mark.covers("api_option:max_body_size")
async def test_bodies(one_store: World) -> None:
    made = await start(one_store, {"max_body_size": 1000})
    await made.service.add_room("room")
    path = "/rooms/room/messages"
    async with program(made) as api:

        async def status(data: Any, content_type: str = "application/json", **headers: str) -> int:
            answer = await api.ask("POST", path, data=data, headers={"Content-Type": content_type, **headers})
            return answer.status

        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(200):
                yield b" " * 10

        assert await status(b"[" + b" " * 1000) == 413
        assert await status(pieces()) == 413
        assert await status(b'{"message": {"textMessage": "hello"}}', "text/plain") == 415
        assert await status(b'{"message": {"textMessage": "hello"}}', **{"Content-Encoding": "gzip"}) == 415
        assert await status(b"{") == 400
        assert await status(b'{"message": {"textMessage": "hello"}}') == 201
        for bad, text in (
            ({}, "body: message is missing"),
            ([], "body: expected an object"),
            ({"message": "hello"}, "body.message: expected an object"),
            ({**HELLO, "autor": "ann"}, "body: unknown field autor"),
            ({**HELLO, "expectedLastId": -1}, "body.expectedLastId: expected a number from 0"),
            ({**HELLO, "idempotencyKey": ""}, "body.idempotencyKey: expected 1 to 128 characters, got 0"),
        ):
            answer = await api.ask("POST", path, bad)
            assert answer.status == 400 and answer.data["message"].startswith(text), answer
        # A message of the wrong form is refused by the command.
        answer = await api.ask("POST", path, {"message": {"text": "hello"}})
        assert (answer.status, answer.data["code"]) == (400, "badArgument")


@pytest.mark.covers("api_option:body_timeout")
async def test_a_body_has_to_come_in_time(one_store: World) -> None:
    made = await start(one_store, {"body_timeout": 0.05})
    await made.service.add_room("room")
    release = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"{"
        await release.wait()

    async with program(made) as api:
        headers = {"Content-Type": "application/json"}
        answer = await api.ask("POST", "/rooms/room/messages", data=pieces(), headers=headers)
        release.set()
        assert (answer.status, answer.data["code"]) == (408, "bodyTimeout")


@pytest.mark.covers("api_option:max_page_size", "api_option:max_batch_length", "api_option:max_answer_size")
async def test_pages_and_batches(one_store: World) -> None:
    made = await start(one_store, {"max_page_size": 5, "max_batch_length": 2})
    await made.service.add_room("room")
    async with program(made) as api:
        for _ in range(7):
            await api.do("POST", "/rooms/room/messages", HELLO)
        assert len((await api.get("/rooms/room/messages"))["messages"]) == 5
        for bad in ("limit=6", "limit=0", "limit=x", "limit=1&limit=1", "lim=1", "cursor="):
            assert (await api.ask("GET", f"/rooms?{bad}")).status == 400, bad
        entry = {"room": "room", **HELLO}
        batches: list[list[Any]] = [[], [entry] * 3, [{}]]
        for bad_batch in batches:
            assert (await api.ask("POST", "/batch", {"messages": bad_batch})).status == 400
        assert (await api.ask("POST", "/batch", {"messages": [entry] * 2})).status == 200
        wrong = await api.ask("GET", "/users?cursor=wrong")
        assert wrong.status in (200, 400)


@pytest.mark.covers("api_option:max_requests")
async def test_requests_at_a_time(one_store: World) -> None:
    made = await start(one_store, {"max_requests": 1})
    await made.service.add_room("room")
    entered, release = asyncio.Event(), asyncio.Event()

    async def wait(call: Any) -> None:
        entered.set()
        await release.wait()

    made.service.before("roomMessage")(wait)
    async with program(made) as api:
        first = asyncio.create_task(api.ask("POST", "/rooms/room/messages", HELLO))
        await entered.wait()
        second = await api.ask("GET", "/rooms")
        assert (second.status, second.data["code"]) == (429, "tooManyRequests")
        release.set()
        assert (await first).status == 201
        assert (await api.ask("GET", "/rooms")).status == 200


# Errors


def test_each_code_has_a_status() -> None:
    assert ERROR_TEXTS.keys() <= STATUSES.keys()


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (StoreTimeoutError("slow"), 504, "timeout"),
        (StoreRefusedError("full"), 504, "timeout"),
        (RuntimeError("secret"), 500, "internalError"),
    ],
)
async def test_failures_of_the_store(
    one_store: World, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, code: str
) -> None:
    made = await start(one_store)
    await made.service.add_room("room")

    async def fail(*args: Any) -> None:
        raise error

    monkeypatch.setattr(parts_of(made.service).store, "room_message", fail)
    async with program(made) as api:
        answer = await api.ask("POST", "/rooms/room/messages", HELLO)
    assert (answer.status, answer.data["code"]) == (status, code)
    assert "secret" not in str(answer.data)


async def test_other_paths_and_methods(api: Program) -> None:
    for path in ("/nothing", "/rooms/room/x", "/rooms/room/messages/", "//rooms"):
        answer = await api.ask("GET", path)
        assert (answer.status, answer.data["code"]) == (404, "notFound"), path
    answer = await api.ask("PUT", "/rooms/room")
    assert (answer.status, answer.headers["allow"]) == (405, "DELETE, GET, PATCH")
    assert (await api.ask("GET", "/rooms/%ff")).status == 400
    long = await api.ask("GET", "/rooms/" + "x" * 300)
    assert (long.status, long.data["code"]) == (400, "invalidName")
    assert len(long.data["args"][0]) < 300
    answer = await api.ask("GET", "/rooms")
    assert answer.headers["cache-control"] == "no-store"
