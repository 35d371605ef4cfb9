"""Message formats from Pydantic models: a checker, and its JSON Schema. Needs the extra ``pydantic``."""

from typing import Any, Final, Literal

from chat_service.errors import MAX_VALUE_TEXT, ChatServiceError, ConfigurationError, clean_text

try:
    import pydantic
except ImportError as missing:  # pragma: no cover - the tests have it
    raise ImportError("chat_service.message_schema needs Pydantic 2: pip install pydantic") from missing

#: Maximum number of problems that one error names.
MAX_PROBLEMS: Final = 5
#: Maximum length of the name of a field in an error: clients choose the names of unknown fields.
MAX_PLACE: Final = 64


class BadMessageError(ChatServiceError):
    """A message does not match its schema. Its argument is a text with the fields and their problems."""

    texts = {"badMessage": "The message is not valid: %s"}  # noqa: RUF012 - never changed


class MessageModel(pydantic.BaseModel):
    """A base for message models: no fields but those named, and no conversions.

    Pydantic ignores unknown fields and converts values by default. A checker does not change messages, so
    recipients would get the unknown fields, and "5" where the model says ``int``. A field whose values are
    sent in another form, such as dates, allows the conversion by ``Field(strict=False)``.
    """

    model_config = pydantic.ConfigDict(extra="forbid", strict=True)


class MessageSchema:
    """A checker for ``room_messages_checker`` or ``direct_messages_checker``.

    ``kinds``: Pydantic models, or any types that Pydantic can validate, such as a union with a
    discriminator. A message has to match one of them. Messages that do not are rejected with
    ``badMessage``. The models see what the client has sent, without the fields that the server sets.

    Raises ``ConfigurationError`` if there are none, or Pydantic cannot use one.
    """

    def __init__(self, *kinds: Any) -> None:
        if not kinds:
            raise ConfigurationError("MessageSchema needs at least one model")
        try:
            # Each has its own adapter, so that an error can tell the problems of the kind that comes closest.
            self._adapters = [pydantic.TypeAdapter[Any](kind) for kind in kinds]
        except (pydantic.errors.PydanticSchemaGenerationError, pydantic.errors.PydanticUserError) as error:
            raise ConfigurationError(f"MessageSchema cannot use these models: {error}") from error

    def __call__(self, message: Any) -> None:
        """Check a message. Raises ``BadMessageError``."""
        problems: list[str] | None = None
        for adapter in self._adapters:
            try:
                adapter.validate_python(message)
            except pydantic.ValidationError as error:
                found = _problems(error)
                problems = found if problems is None or len(found) < len(problems) else problems
            else:
                return
        raise BadMessageError("badMessage", _as_text(problems or []))

    def json_schema(self, ref_template: str = "#/$defs/{model}") -> dict[str, Any]:
        """The JSON Schema (2020-12) of the messages that clients send. Binary values appear as strings.

        ``ref_template``: where the definitions of shared models are referred to; they are in ``$defs``.
        """
        # All at once, so that two models of the same name get different definitions.
        mode: Literal["validation"] = "validation"
        inputs = [(number, mode, adapter) for number, adapter in enumerate(self._adapters)]
        made, shared = pydantic.TypeAdapter.json_schemas(inputs, ref_template=ref_template)
        schemas = list(made.values())
        schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
        return {**schema, **shared}


def _problems(error: pydantic.ValidationError) -> list[str]:
    details = error.errors(include_url=False, include_context=False, include_input=False)
    return [_line(detail["loc"], detail["msg"]) for detail in details]


def _line(location: tuple[int | str, ...], problem: str) -> str:
    place = ".".join(str(part)[:MAX_PLACE] for part in location)
    return f"{place}: {problem}" if place else problem


def _as_text(problems: list[str]) -> str:
    text = clean_text("; ".join(problems[:MAX_PROBLEMS]))
    more = len(problems) - MAX_PROBLEMS
    end = f" (and {more} more)" if more > 0 else ""
    # Errors cut their arguments to this length.
    room = MAX_VALUE_TEXT - len(end)
    return (text if len(text) <= room else text[: room - 1] + "…") + end
