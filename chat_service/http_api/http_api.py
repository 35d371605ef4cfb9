"""The HTTP API of a service, independent of the server: takes a request, returns an answer or a stream."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson

from chat_service.domain.context import Context
from chat_service.http_api.admission import Admission, Audit
from chat_service.http_api.api_call import ApiCall, Closing, bad_request
from chat_service.http_api.api_options import ApiOptions
from chat_service.http_api.api_pages import ApiPages
from chat_service.http_api.api_tokens import Token
from chat_service.http_api.checks import fault_of, from_text
from chat_service.http_api.exchange import (
    ApiRequest,
    ApiResponse,
    ApiStream,
    BodyTooLargeError,
    as_json,
)
from chat_service.http_api.openapi import add_formats, document
from chat_service.http_api.problems import ApiProblem, error_response
from chat_service.http_api.routes import PATH_SCHEMAS, TABLE
from chat_service.http_api.routing import Route, find_routes, split_path
from chat_service.http_api.schemas import BATCH, KEY, PAGE, sized

logger = logging.getLogger("chat_service")

#: Seconds that streams and requests have to end when the service closes.
END_GRACE: Final = 2.0


class HttpApi:
    """Answers requests. Without a token it is off and answers 404."""

    def __init__(self, context: Context, options: ApiOptions) -> None:
        self._context = context
        self._options = options
        self._admission = Admission(options.known_tokens(), options.max_failures)
        self._bounds = {PAGE: options.max_page_size, BATCH: options.max_batch_length}
        self._pages = ApiPages(has_console=options.console)
        self._closing = Closing()
        #: Number of running requests, without streams, and of streams.
        self._requests = 0
        self._streams = 0
        self._idle = asyncio.Event()

    @property
    def is_on(self) -> bool:
        """Whether there are tokens, so that the API is served."""
        return self._admission.has_tokens

    @property
    def body_timeout(self) -> float:
        """Maximum time in seconds to wait for a body."""
        return self._options.body_timeout

    async def handle(self, request: ApiRequest) -> ApiResponse | ApiStream:
        """Answer a request. Raises only ``CancelledError``."""
        try:
            return self._page(request) or await self._answer(request)
        except Exception as error:
            return error_response(self._context.errors, error, f"{request.method} of the HTTP API")

    async def close(self) -> None:
        """End all streams, refuse new requests, and wait briefly for running ones. Idempotent."""
        self._closing.begin()
        try:
            async with asyncio.timeout(END_GRACE):
                while self._requests or self._streams:
                    self._idle.clear()
                    await self._idle.wait()
        except TimeoutError:
            logger.warning("closing while %s requests of the HTTP API run", self._requests + self._streams)

    # Public pages

    def _page(self, request: ApiRequest) -> ApiResponse | None:
        if not self.is_on or request.method not in ("GET", "HEAD"):
            return None
        if request.path == "/openapi.json":
            return ApiResponse(status=200, body=as_json(self._document(request.mount)))
        return self._pages.find(request.path, request.mount)

    def _document(self, mount: str) -> dict[str, Any]:
        made = document(mount, self._bounds)
        add_formats(made, self._context.hooks.checkers())
        return made

    # Requests

    async def _answer(self, request: ApiRequest) -> ApiResponse | ApiStream:
        if not self.is_on:
            raise ApiProblem("notFound", "The HTTP API is off: it needs a token in api_options")
        now = self._context.clock.monotonic()
        token = self._admission.token_of(request, now)
        parts = split_path(request.path)
        if parts is None:
            raise bad_request("The path is not UTF-8")
        methods = find_routes(TABLE, parts)
        if not methods:
            raise ApiProblem("notFound", "There is nothing at this path")
        if request.method not in methods:
            allowed = ", ".join(sorted(methods))
            raise ApiProblem("methodNotAllowed", f"This path allows {allowed}", headers={"Allow": allowed})
        route, values = methods[request.method]
        audit = self._admission.audit(route, request, token)
        try:
            if not token.has(route.scope):
                raise ApiProblem("forbidden", f"This needs a token with the scope {route.scope}", route.scope)
            return await self._run(request, route, values, token, audit)
        except Exception as error:
            response = error_response(self._context.errors, error, route.handler.__name__)
            audit.end(response.status)
            return response
        except BaseException:
            audit.end(499)
            raise

    async def _run(
        self, request: ApiRequest, route: Route, values: dict[str, str], token: Token, audit: Audit
    ) -> ApiResponse | ApiStream:
        if self._closing.is_closing or not self._context.is_open:
            raise ApiProblem("unavailable", "The service is not running", headers={"Retry-After": "1"})
        if route.is_stream:
            return await self._stream(await self._call(request, route, values, token), route)
        if self._requests >= self._options.max_requests:
            raise ApiProblem(
                "tooManyRequests", "Too many requests run at the moment", headers={"Retry-After": "1"}
            )
        self._requests += 1
        try:
            call = await self._call(request, route, values, token)
            result = await route.handler(call)
            audit.end(call.status, call.notes)
            return ApiResponse(status=call.status, body=b"" if route.answer is None else as_json(result))
        finally:
            self._requests -= 1
            self._idle.set()

    async def _stream(self, call: ApiCall, route: Route) -> ApiStream:
        if self._streams >= self._options.max_streams:
            raise ApiProblem("tooManyRequests", "Too many streams are open", headers={"Retry-After": "10"})
        self._streams += 1
        try:
            stream: ApiStream = await route.handler(call)
        except BaseException:
            self._end_stream()
            raise
        return ApiStream(
            chunks=stream.chunks, timeout=stream.timeout, on_slow=stream.on_slow, on_end=self._end_stream
        )

    def _end_stream(self) -> None:
        self._streams -= 1
        self._idle.set()

    # Values

    async def _call(self, request: ApiRequest, route: Route, values: dict[str, str], token: Token) -> ApiCall:
        for name, value in values.items():
            # The service checks the names of rooms and users, with its own error.
            schema = {key: item for key, item in PATH_SCHEMAS[name].items() if key != "minLength"}
            _check(value, schema, f"path.{name}")
        key = request.headers.get("idempotency-key") if route.takes_key else None
        if key is not None:
            _check(key, KEY, "Idempotency-Key")
        return ApiCall(
            context=self._context,
            options=self._options,
            token=token,
            path=values,
            query=self._query(request, route),
            body=None if route.body is None else await self._body(request, route),
            idempotency_key=key,
            last_event_id=request.headers.get("last-event-id"),
            closing=self._closing,
            status=route.status,
        )

    def _query(self, request: ApiRequest, route: Route) -> dict[str, Any]:
        known = {param.name: sized(param.schema, self._bounds) for param in route.query}
        try:
            given = parse_qsl(request.query, keep_blank_values=True, errors="strict", max_num_fields=100)
        except ValueError:
            raise bad_request("The query cannot be read") from None
        found = {}
        for name, text in given:
            if name not in known:
                fields = f"known are {', '.join(known)}" if known else "this path has none"
                raise bad_request(f"query: unknown field {name[:64]}; {fields}")
            if name in found:
                raise bad_request(f"query.{name}: is given twice")
            found[name] = from_text(text, known[name])
            _check(found[name], known[name], f"query.{name}")
        return found

    async def _body(self, request: ApiRequest, route: Route) -> Any:
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type != "application/json":
            raise ApiProblem("unsupportedMediaType", "Send the body as Content-Type: application/json")
        limit = self._options.max_body_size
        try:
            async with asyncio.timeout(self._options.body_timeout):
                text = await request.read_body(limit)
        except BodyTooLargeError:
            raise ApiProblem("tooLarge", f"A body has at most {limit} bytes", limit) from None
        except TimeoutError:
            raise ApiProblem("bodyTimeout", "The body did not come in time") from None
        try:
            body = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise bad_request(f"The body is not JSON: {error}") from None
        _check(body, sized(route.body, self._bounds), "body")
        return body


def _check(value: Any, schema: Mapping[str, Any], where: str) -> None:
    fault = fault_of(value, schema, where)
    if fault is not None:
        raise bad_request(fault)
