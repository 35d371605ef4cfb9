"""The OpenAPI document is valid and complete, and the API conforms to it, even for random requests."""

import json
from typing import Any
from urllib.parse import urlencode

import hypothesis
import pytest
from jsonschema import Draft202012Validator
from yarl import URL

from chat_service.commands.table import COMMANDS
from chat_service.http_api import openapi
from chat_service.http_api.checks import fault_of, from_text
from chat_service.http_api.routes import TABLE
from chat_service.message_schema import MessageModel, MessageSchema
from tests.docs.blocks import ROOT
from tests.http_api.programs import TOKENS, Program, program, start
from tests.support.world import World


def test_the_committed_document_is_this_one() -> None:
    text = (ROOT / "docs/reference/openapi.json").read_text("utf-8")
    assert json.loads(text) == json.loads(json.dumps(openapi.document()))


def test_every_route_is_described() -> None:
    document = openapi.document()
    operations = {
        (method.upper(), path): operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    }
    assert operations.keys() == {(route.method, route.path) for route in TABLE}
    names = [operation["operationId"] for operation in operations.values()]
    assert len({*names}) == len(names)
    for route in TABLE:
        assert not route.command or route.command in COMMANDS
        operation = operations[route.method, route.path]
        assert operation["summary"] and operation["x-scope"] == route.scope
        for response in operation["responses"].values():
            for content in response.get("content", {}).values():
                schema = content["schema"]
                if "$ref" not in schema:
                    Draft202012Validator.check_schema(schema)


class Dice(MessageModel):
    dice: list[int]


async def test_message_schemas_are_part_of_the_served_document(one_store: World) -> None:
    """And a message that does not match is refused with an error that says why."""
    checkers = {"room_messages_checker": MessageSchema(Dice), "direct_messages_checker": MessageSchema(Dice)}
    instance = await start(one_store, hooks=checkers)
    await instance.service.add_room("game")
    async with program(instance) as api:
        document = await api.get("/openapi.json", scope=None)
        components = document["components"]
        for path, component in [("/rooms/{room}", "RoomMessage"), ("/users/{user}", "DirectMessage")]:
            body = document["paths"][f"{path}/messages"]["post"]["requestBody"]
            message = body["content"]["application/json"]["schema"]["properties"]["message"]
            assert message == {"$ref": f"#/components/schemas/{component}"}
            check = Draft202012Validator({"components": components, **message})
            assert check.is_valid({"dice": [6, 1]}) and not check.is_valid({"dice": ["6"]})
        good = await api.do("POST", "/rooms/game/messages", {"message": {"dice": [6, 1]}})
        assert good["id"] == 1
        bad = await api.ask("POST", "/rooms/game/messages", {"message": {"dice": ["6"]}})
        assert (bad.status, bad.data["code"]) == (422, "badMessage")
        assert bad.data["message"] == "The message is not valid: dice.0: Input should be a valid integer"


@pytest.mark.parametrize(
    ("value", "schema", "fault"),
    [
        (5, {"type": "integer"}, None),
        (5.0, {"type": "integer"}, None),
        (5.5, {"type": "integer"}, "x: expected a whole number"),
        (True, {"type": "integer"}, "x: expected a whole number"),
        (float("nan"), {"type": "integer"}, "x: expected a whole number"),
        (2**60, {"type": "integer"}, "x: expected a whole number"),
        (None, {"type": ["string", "null"]}, None),
        (5, {"type": ["string", "null"]}, "x: expected a text or null"),
        ("\ud800", {"type": "string"}, "x: expected a text"),
        ("b", {"enum": ["a"]}, "x: expected a"),
        (["a", 5], {"type": "array", "items": {"type": "string"}}, "x[1]: expected a text"),
        ({}, {"minProperties": 1, "properties": {"a": {}}}, "x: expected one or more of a"),
        (7, {"maximum": 6}, "x: expected a number from 7 to 6"),
    ],
)
def test_checks(value: Any, schema: dict[str, Any], fault: str | None) -> None:
    assert fault_of(value, schema, "x") == fault


def test_texts_of_queries() -> None:
    assert from_text("5", {"type": "integer"}) == 5
    assert from_text("5.0", {"type": "integer"}) == "5.0"
    assert from_text("false", {"type": "boolean"}) is False
    assert from_text("no", {"type": "boolean"}) == "no"


def _is_bounded(schema: Any) -> bool:
    """Whether every list in a schema of requests has a limit."""
    if isinstance(schema, list):
        return all(map(_is_bounded, schema))
    if not isinstance(schema, dict):
        return True
    return (schema.get("type") != "array" or "maxItems" in schema) and all(map(_is_bounded, schema.values()))


def test_bodies_are_bounded() -> None:
    for route in TABLE:
        assert _is_bounded(route.body), route.path


DOCUMENT = openapi.document()
#: The operations to call, each with numbers of valid and invalid values.
EXAMPLES = 3


def _cases(method: str, path: str, *, good: bool) -> list[Any]:
    """The same values in each run."""
    # Imported late, because the import takes a second even when tests are only collected.
    import schemathesis

    found: list[Any] = []
    mode = schemathesis.GenerationMode.POSITIVE if good else schemathesis.GenerationMode.NEGATIVE
    strategy = schemathesis.openapi.from_dict(DOCUMENT)[path][method].as_strategy(generation_mode=mode)

    @hypothesis.settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=[*hypothesis.HealthCheck],
    )
    @hypothesis.given(strategy)
    def collect(case: Any) -> None:
        found.append(case)

    collect()
    return found


async def _send(api: Program, case: Any) -> tuple[int, str, bytes]:
    sent = case.as_transport_kwargs(base_url=api.base)
    headers = {
        # Malformed headers are refused by the server before they reach the API.
        name: "".join(filter(str.isprintable, value.encode("latin-1", "replace").decode("latin-1")))
        for name, value in dict(sent["headers"]).items()
    }
    headers["Authorization"] = f"Bearer {TOKENS['admin']}"
    given = {"data": sent["data"]} if sent.get("data") is not None else {}
    if sent.get("json") is not None or ("json" in sent and not given):
        given = {"data": json.dumps(sent["json"]).encode()}
        headers.setdefault("Content-Type", "application/json")
    query = urlencode(sent.get("params") or {}, doseq=True, errors="replace")
    url = URL(sent["url"] + (f"?{query}" if query else ""), encoded=True)
    async with api.session.request(sent["method"], url, headers=headers, **given) as answer:
        is_stream = answer.content_type == "text/event-stream"
        return answer.status, answer.content_type, b"" if is_stream else await answer.read()


@pytest.mark.unmeasured  # each route has its own tests
@pytest.mark.parametrize("good", [True, False], ids=["good", "bad"])
async def test_fuzzed_requests_are_answered_as_described(one_store: World, good: bool) -> None:
    instance = await start(one_store)
    for name in ("0", "00"):
        await instance.service.add_room(name)
        await instance.service.add_user(name)
    async with program(instance) as api:
        for route in TABLE:
            responses = DOCUMENT["paths"][route.path][route.method.lower()]["responses"]
            for case in _cases(route.method, route.path, good=good):
                status, content_type, body = await _send(api, case)
                if status == 400 and b"more than 8190 bytes" in body:
                    # The server refuses lines of this length, too.
                    continue
                # With an empty parameter or a slash in it, the path is a different one.
                if status in (404, 405) and json.loads(body)["code"] in ("notFound", "methodNotAllowed"):
                    continue
                assert str(status) in responses, (route.path, status, body, case)
                assert status != 500, (route.path, body)
                content = responses[str(status)].get("content", {})
                assert content_type in content if content else body == b""
                if "application/json" in content:
                    schema = content["application/json"]["schema"]
                    made = {"components": DOCUMENT["components"], **schema}
                    Draft202012Validator(made).validate(json.loads(body))
        assert (await api.ask("GET", "/instances")).status == 200
