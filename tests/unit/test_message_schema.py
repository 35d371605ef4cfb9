"""Message formats from Pydantic models: what passes, what the errors say, and the JSON Schema."""

from datetime import datetime
from typing import Annotated, Any, Literal

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field

from chat_service.errors import ConfigurationError
from chat_service.message_schema import MAX_PROBLEMS, BadMessageError, MessageModel, MessageSchema


class Text(MessageModel):
    textMessage: str = Field(min_length=1, max_length=20)  # noqa: N815 - its name in messages


class Picture(MessageModel):
    picture: bytes
    caption: str = ""
    taken: datetime | None = Field(default=None, strict=False)


class Move(MessageModel):
    kind: Literal["move"]
    squares: list[int]


class Resign(MessageModel):
    kind: Literal["resign"]


GAME = MessageSchema(Annotated[Move | Resign, Field(discriminator="kind")])


def problem(schema: MessageSchema, message: Any) -> str:
    with pytest.raises(BadMessageError) as caught:
        schema(message)
    assert caught.value.code == "badMessage"
    assert str(caught.value) == f"The message is not valid: {caught.value.arguments[0]}"
    return str(caught.value.arguments[0])


@pytest.mark.parametrize(
    "message",
    [
        {"textMessage": "hello"},
        {"picture": b"\x89PNG", "caption": "a bay"},
        {"picture": b"", "taken": "2026-01-02T03:04:05Z"},
    ],
)
def test_messages_of_every_kind_pass_unchanged(message: dict[str, Any]) -> None:
    before = dict(message)
    MessageSchema(Text, Picture)(message)
    assert message == before


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({}, "textMessage: Field required"),
        ({"textMessage": 5}, "textMessage: Input should be a valid string"),
        ({"textMessage": ""}, "textMessage: String should have at least 1 character"),
        ({"textMessage": "x", "html": "<b>"}, "html: Extra inputs are not permitted"),
    ],
)
def test_an_error_names_the_field(message: Any, text: str) -> None:
    assert problem(MessageSchema(Text), message) == text


def test_values_are_not_converted() -> None:
    text = problem(GAME, {"kind": "move", "squares": [1, "2"]})
    assert text == "move.squares.1: Input should be a valid integer"
    assert problem(MessageSchema(Picture), {"picture": "text"}) == "picture: Input should be a valid bytes"


def test_a_discriminator_tells_which_kind_was_meant() -> None:
    assert problem(GAME, {"kind": "draw"}).startswith("Input tag 'draw' found using 'kind' does not match")


def test_an_error_is_about_the_kind_that_comes_closest() -> None:
    assert problem(MessageSchema(Text, Picture), {"picture": 1}) == "picture: Input should be a valid bytes"


def test_errors_are_bounded() -> None:
    strange = {"textMessage": "x", **{f"{number}" + "y" * 10_000: 1 for number in range(100)}}
    text = problem(MessageSchema(Text), strange)
    assert len(text) < 300 and text.endswith(f"(and {100 - MAX_PROBLEMS} more)")
    unencodable = problem(MessageSchema(Text), {"textMessage": "x", "\ud800": 1})
    assert unencodable.startswith("Input should be a valid string")


def test_a_plain_model_keeps_the_rules_of_pydantic() -> None:
    class Loose(BaseModel):
        number: int

    MessageSchema(Loose)({"number": "5", "more": True})


def test_unusable_models_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="at least one"):
        MessageSchema()
    with pytest.raises(ConfigurationError, match="cannot use these models"):
        MessageSchema(object())


@pytest.mark.parametrize("schema", [MessageSchema(Text), MessageSchema(Text, Picture), GAME])
def test_its_json_schema_is_one(schema: MessageSchema) -> None:
    made = schema.json_schema()
    Draft202012Validator.check_schema(made)
    is_valid = Draft202012Validator(made).is_valid
    assert is_valid({"kind": "resign"} if schema is GAME else {"textMessage": "hello"})
    assert not is_valid({"textMessage": 5}) and not is_valid({"kind": "draw"})


def test_models_of_one_name_are_kept_apart() -> None:
    def model(field: str) -> type[MessageModel]:
        return type("Same", (MessageModel,), {"__annotations__": {field: int}})

    is_valid = Draft202012Validator(MessageSchema(model("one"), model("two")).json_schema()).is_valid
    assert is_valid({"one": 1}) and is_valid({"two": 2}) and not is_valid({"three": 3})
