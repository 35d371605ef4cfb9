"""The OpenAPI 3.1 document of the HTTP API, generated from the tables of routes and commands."""

from collections.abc import Mapping
from typing import Any, Final

from chat_service.commands.table import COMMANDS
from chat_service.http_api import schemas
from chat_service.http_api.api_options import ApiOptions
from chat_service.http_api.problems import API_STATUSES, status_of
from chat_service.http_api.routes import PATH_SCHEMAS, TABLE
from chat_service.http_api.routing import Route
from chat_service.http_api.schemas import MESSAGE
from chat_service.protocol.names import camel_case
from chat_service.version import __version__

#: The components of the document that hold the formats, by the checker and the beginning of the paths.
_COMPONENTS: Final = {
    "room_messages_checker": ("RoomMessage", ("/rooms/", "/batch")),
    "direct_messages_checker": ("DirectMessage", ("/users/",)),
}


def add_formats(document: dict[str, Any], checkers: Mapping[str, object]) -> None:
    """Put the formats of checkers with a method ``json_schema`` into a document.

    ``MessageSchema`` is such a checker. Messages that are published through the API refer to the format.
    """
    for name, (component, beginnings) in _COMPONENTS.items():
        make = getattr(checkers.get(name), "json_schema", None)
        if not callable(make):
            continue
        here = f"#/components/schemas/{component}"
        document["components"]["schemas"][component] = make(ref_template=here + "/$defs/{model}")
        for path, operations in document["paths"].items():
            if path.startswith(beginnings):
                operations.update(_referring(operations, {"$ref": here}))


def _referring(schema: Any, reference: dict[str, str]) -> Any:
    """A part of the document in which ``reference`` stands for messages of any format."""
    if schema == MESSAGE:
        return reference
    if isinstance(schema, dict):
        return {name: _referring(value, reference) for name, value in schema.items()}
    if isinstance(schema, list):
        return [_referring(value, reference) for value in schema]
    return schema


_DESCRIPTION = """\
For other programs: publish messages, read histories, and operate rooms, users and instances. Send a token
as `Authorization: Bearer …`. Errors have a body `{code, args, message}`; the codes are those of the protocol,
and some of the API itself. Names in paths are percent-encoded, `/` as `%2F`.
"""

#: Errors that every route can return.
_COMMON = (
    "unauthorized",
    "forbidden",
    "tooManyRequests",
    "internalError",
    "unavailable",
    "timeout",
    "badRequest",
)
_WITH_BODY = ("tooLarge", "unsupportedMediaType", "bodyTimeout")


def default_bounds() -> dict[str, int]:
    """The default values of the bounds."""
    options = ApiOptions()
    return {schemas.PAGE: options.max_page_size, schemas.BATCH: options.max_batch_length}


def document(mount: str = "/api", bounds: Mapping[str, int] | None = None) -> dict[str, Any]:
    """The document. ``mount``: the path of the API; ``bounds``: the numbers of the options."""
    numbers = default_bounds() if bounds is None else dict(bounds)
    paths: dict[str, dict[str, Any]] = {}
    for route in TABLE:
        item = paths.setdefault(route.path, {})
        if route.parameters:
            item["parameters"] = [_path_parameter(name) for name in route.parameters]
        item[route.method.lower()] = _operation(route)
    made: dict[str, Any] = sized_document(paths, numbers)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "chat_service HTTP API",
            "version": __version__,
            "description": _DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": mount}],
        "security": [{"token": []}],
        "paths": made,
        "components": {
            "schemas": {"Error": schemas.ERROR},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def sized_document(paths: dict[str, Any], numbers: dict[str, int]) -> dict[str, Any]:
    """The paths, with the numbers of the options filled into their schemas."""
    made: dict[str, Any] = schemas.sized(paths, numbers)
    return made


def _operation(route: Route) -> dict[str, Any]:
    row = COMMANDS.get(route.command)
    doc = route.doc or (row.doc if row else "")
    return {
        "operationId": camel_case(route.handler.__name__),
        "tags": [_tag(route)],
        "summary": doc.partition(". ")[0].rstrip("."),
        "description": f"{doc} Scope: `{route.scope}`.",
        "parameters": [_query_parameter(param) for param in route.query] + _headers(route),
        **({} if route.body is None else {"requestBody": _body(route)}),
        "responses": _responses(route),
        "x-scope": route.scope,
        **({"x-command": route.command} if row else {}),
    }


def _tag(route: Route) -> str:
    names = {"batch": "messages", "sockets": "users", "commands": "commands"}
    last = route.parts[-1]
    if last in ("messages", "events") and route.parts[0] == "rooms":
        return "messages"
    return names.get(route.parts[0], route.parts[0])


def _path_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": PATH_SCHEMAS[name]}


def _query_parameter(param: Any) -> dict[str, Any]:
    return {"name": param.name, "in": "query", "description": param.doc, "schema": param.schema}


def _headers(route: Route) -> list[dict[str, Any]]:
    found = []
    if route.takes_key:
        found.append({"name": "Idempotency-Key", "in": "header", "schema": schemas.KEY})
    if route.is_stream:
        schema = {"type": "string", "pattern": "^[^:\\s]{1,128}:[0-9]{1,16}$"}
        found.append({"name": "Last-Event-ID", "in": "header", "schema": schema})
    return found


def _body(route: Route) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": route.body}}}


def _responses(route: Route) -> dict[str, Any]:
    success: dict[str, Any] = {"description": "Success"}
    if route.answer is not None:
        success["content"] = {"application/json": {"schema": route.answer}}
    if route.is_stream:
        success["content"] = {"text/event-stream": {"schema": {"type": "string"}}}
    responses = {str(route.status): success}
    if route.takes_key and route.status == 201:
        responses["200"] = {**success, "description": "A repeat, which stored nothing"}
    by_status: dict[int, list[str]] = {}
    for code in sorted(_codes(route)):
        by_status.setdefault(API_STATUSES.get(code) or status_of(code), []).append(code)
    for status, codes in sorted(by_status.items()):
        responses[str(status)] = _error(", ".join(f"`{code}`" for code in codes))
    responses["422"] = _error("a code of the application's own, from a hook")
    return responses


def _codes(route: Route) -> set[str]:
    row = COMMANDS.get(route.command)
    known = {*route.errors, *_COMMON, *(row.errors if row else ())}
    if route.body is not None:
        known |= {*_WITH_BODY}
    if row or route.path.startswith("/commands"):
        known |= {"badArgument", "wrongArgumentsCount"}
    return known


def _error(description: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {"description": description, "content": content}
