"""Hooks that ask the back end: who a socket belongs to, whether a login is renewed, whether a message is
sent.

Plain functions interpret the answers. ``Questions`` sends the requests, repeats them and applies the policy.
"""

import asyncio
import itertools
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar

import orjson

from chat_service.errors import ChatServiceError
from chat_service.hooks import CommandCall, Hook, Login, call_hook, login_of
from chat_service.option_group import is_finite_number
from chat_service.protocol.values import MAX_DEPTH, count_binary
from chat_service.webhooks.back_end import BackEnd, BackEndError, Guard, RejectedError
from chat_service.webhooks.webhook_options import WebhookOptions

T = TypeVar("T")

#: The form of a back end's error codes, and the maximum number of characters of their texts.
_CODE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
MAX_TEXT: Final = 256
#: Larger numbers cannot be seconds of Unix time. They may be milliseconds.
MAX_TIME: Final = 1e11


class WebhookError(ChatServiceError):
    """The error for a client when the back end rejects its request or does not answer."""

    texts = {"backEndUnavailable": "The back end does not answer, try again later"}  # noqa: RUF012 - never changed


class WebhookRejection(ChatServiceError):
    """A rejection with the back end's code and text."""

    def __init__(self, code: str, text: str | None) -> None:
        super().__init__(code)
        if text is not None:
            # Not a template: there are no arguments.
            self.texts = {code: text}


# What answers mean


def bad_answer(detail: str) -> BackEndError:
    """The error for an answer of the wrong form. The text is for the log."""
    return BackEndError("answer", detail)


def read_answer(body: bytes, known: frozenset[str]) -> Mapping[str, Any]:
    """The fields of an answer. Raises ``BackEndError`` if it is invalid, ``RejectedError`` for a
    rejection.
    """
    if not body:
        return {}
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise bad_answer("the answer is not JSON") from None
    if not isinstance(answer, dict):
        raise bad_answer("the answer is not an object")
    if answer.keys() == {"reject"}:
        raise _rejection(answer["reject"])
    for name in answer:
        if name not in known:
            raise bad_answer(f"the answer has the unknown field {name[:64]!r}")
    return answer


def _rejection(given: Any) -> RejectedError:
    if not isinstance(given, dict) or not {"code"} <= given.keys() <= {"code", "text"}:
        raise bad_answer("reject: expected an object with a code, and perhaps a text")
    code, text = given["code"], given.get("text")
    if not isinstance(code, str) or _CODE.fullmatch(code) is None or code == "internalError":
        raise bad_answer("reject.code: expected a letter, then at most 63 letters, digits and underscores")
    if text is not None and not (isinstance(text, str) and 0 < len(text) <= MAX_TEXT):
        raise bad_answer(f"reject.text: expected a text of 1 to {MAX_TEXT} characters")
    return RejectedError(WebhookRejection(code, text))


def decide_login(body: bytes, own: Login | None) -> Login:
    """The login that results from an answer. Its fields replace those of the service's own login."""
    answer = read_answer(body, frozenset({"name", "data", "expiresAt", "ephemeral"}))
    name = answer.get("name", own.name if own else None)
    if not isinstance(name, str):
        raise bad_answer("name: expected a text")
    login = replace(own, name=name) if own else Login(name)
    if "data" in answer:
        if not isinstance(answer["data"], dict | None) or count_binary(answer["data"], MAX_DEPTH) is None:
            raise bad_answer("data: expected an object that is not too deep, or null")
        login = replace(login, data=answer["data"])
    if "ephemeral" in answer:
        if not isinstance(answer["ephemeral"], bool):
            raise bad_answer("ephemeral: expected true or false")
        login = replace(login, ephemeral=answer["ephemeral"])
    return replace(login, expires_at=_end(answer["expiresAt"])) if "expiresAt" in answer else login


def decide_refresh(body: bytes, user: str, own: Login | None) -> Login:
    """The login with its new end. If the answer has none, the service's own decision applies."""
    answer = read_answer(body, frozenset({"expiresAt"}))
    if "expiresAt" in answer:
        return Login(user, expires_at=_end(answer["expiresAt"]))
    if own is None:
        raise bad_answer("expiresAt: required field is missing")
    return own


def decide_message(body: bytes, depth_limit: int) -> Mapping[str, Any] | None:
    """The message to send instead, or None to send the original."""
    answer = read_answer(body, frozenset({"message"}))
    message = answer.get("message")
    if "message" in answer and not (
        isinstance(message, dict) and count_binary(message, depth_limit) is not None
    ):
        raise bad_answer("message: expected an object that is not too deep")
    return message


def _end(given: Any) -> float | None:
    if given is None:
        return None
    if not is_finite_number(given) or abs(given) > MAX_TIME:
        raise bad_answer("expiresAt: expected seconds of Unix time or null")
    return float(given)


# Asking


class Questions:
    """The hooks that ask the back end.

    ``make_id``: makes the id of a request; repeats have the same id. ``user_of``: the user of a socket.
    ``depth_limit``: maximum nesting depth of a message.
    """

    def __init__(
        self,
        options: WebhookOptions,
        back_end: BackEnd,
        guards: Mapping[str, Guard],
        *,
        make_id: Callable[[], str],
        user_of: Callable[[str], str],
        depth_limit: int,
    ) -> None:
        self._options = options
        self._back_end = back_end
        self._guards = guards
        self._make_id = make_id
        self._user_of = user_of
        self._depth_limit = depth_limit

    def around_connect(self, own: Hook | None) -> Hook:
        """``on_connect``: the service's own hook runs first, and its refusal is final."""

        async def on_connect(service: Any, socket_id: str) -> Login | None:
            login = None
            if own is not None:
                login = login_of(await call_hook(own, service, socket_id))
            handshake = service.transport.get_handshake_data(socket_id)
            passed = self._options.forward_headers
            facts: dict[str, Any] = {
                "socketId": socket_id,
                "handshake": {
                    "query": dict(handshake.query),
                    "auth": handshake.auth,
                    "headers": {
                        name: handshake.headers[name] for name in passed if name in handshake.headers
                    },
                    "address": handshake.remote_addr,
                    "transport": handshake.transport,
                },
            }
            if login is not None:
                facts["login"] = _shown(login)
            return await self._ask("connect", facts, lambda body: decide_login(body, login), lambda: login)

        return on_connect

    def around_refresh(self, own: Hook | None) -> Hook:
        """``on_refresh``: the service's own hook runs first, and its refusal is final."""

        async def on_refresh(service: Any, socket_id: str, credentials: Any) -> Any:
            user = self._user_of(socket_id)
            login = None
            if own is not None:
                login = _refreshed(await call_hook(own, service, socket_id, credentials), user)
                if not isinstance(login, Login) or login.name != user:
                    # The service reports what is wrong with it.
                    return login
            facts: dict[str, Any] = {"socketId": socket_id, "user": user, "credentials": credentials}
            if login is not None:
                facts["login"] = _shown(login)
            return await self._ask(
                "refresh", facts, lambda body: decide_refresh(body, user, login), lambda: login
            )

        return on_refresh

    async def before_message(self, call: CommandCall) -> None:
        """A before hook of ``roomMessage``, which runs after the service's own."""
        room, message = call.args
        facts = {"room": room, "user": call.user_name, "socketId": call.id, "message": message}
        if call.options:
            # An edit, a deletion or a reaction is a message with options.
            facts["options"] = dict(call.options)
        changed = await self._ask(
            "message", facts, lambda body: decide_message(body, self._depth_limit), lambda: None
        )
        if changed is not None:
            call.args[1] = changed

    async def _ask(
        self,
        hook: str,
        facts: Mapping[str, Any],
        decide: Callable[[bytes], T],
        otherwise: Callable[[], T],
    ) -> T:
        """The decision of the back end. Without one, the options choose between ``otherwise()`` and an
        error.
        """
        try:
            return await self._guarded(hook, facts, decide)
        except BackEndError:
            # The failure has been logged and counted.
            if self._options.lets_pass(hook):
                return otherwise()
            raise WebhookError("backEndUnavailable") from None

    async def _guarded(self, hook: str, facts: Mapping[str, Any], decide: Callable[[bytes], T]) -> T:
        guard, now = self._guards[hook], asyncio.get_running_loop().time
        ticket = guard.admit(now())
        try:
            decision = await self._repeat(hook, facts, decide)
        except BackEndError as error:
            guard.failed(ticket, now(), error)
            raise
        except RejectedError as rejection:
            guard.succeeded(ticket)
            raise rejection.error from None
        except BaseException:
            guard.circuit.abandoned(ticket)
            raise
        guard.succeeded(ticket)
        return decision

    async def _repeat(self, hook: str, facts: Mapping[str, Any], decide: Callable[[bytes], T]) -> T:
        """The decision of the first successful attempt. All attempts share one timeout."""
        options, now = self._options, asyncio.get_running_loop().time
        url, end = options.url_of(hook) or "", now() + options.timeout_of(hook)
        request_id = self._make_id()
        body = as_json({"id": request_id, "type": hook, "timestamp": time.time_ns() // 1_000_000, **facts})
        for attempt in itertools.count():
            try:
                return await self._back_end.post(
                    hook, url, request_id, body, seconds=end - now(), read=decide
                )
            except BackEndError as error:
                pause = min(options.backoff_first * 2.0**attempt, options.backoff_longest)
                if attempt >= options.retries or not error.may_pass or now() + pause >= end:
                    raise
            await asyncio.sleep(pause)
        raise AssertionError("the loop above does not end")


def _shown(login: Login) -> dict[str, Any]:
    """The service's own login, as sent to the back end."""
    return {
        "name": login.name,
        "data": login.data,
        "expiresAt": login.expires_at,
        "ephemeral": login.ephemeral,
    }


def _refreshed(answer: Any, user: str) -> Any:
    """The result of the service's own ``on_refresh`` as a login. An invalid result is returned unchanged."""
    if isinstance(answer, int | float) and not isinstance(answer, bool):
        return Login(user, expires_at=float(answer))
    return answer


def as_json(value: Any) -> bytes:
    """JSON in UTF-8. Binary values become base64 strings."""
    return orjson.dumps(value, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        import base64

        return base64.b64encode(value).decode()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} cannot be encoded as JSON")
