"""The requests of the page: logging in, tickets, logging out. Below ``/login``, over aiohttp.

Requests that change anything are POSTs of JSON from the page itself. A page of another origin cannot send
them: it may not send JSON without asking first, and its ``Origin`` is refused.
"""

import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import web

from chat_service.service import ChatService
from chat_service.transports.network.aiohttp_carrier import read_opening
from chat_service.transports.network.gate import Refusal
from chat_service.transports.network.opening import Opening
from chat_service.transports.network.origins import AllowedOrigins, own_origins
from chat_service.transports.network.proxies import group_of
from chat_service.web_login.login_errors import LoginRefused
from chat_service.web_login.login_sessions import PENDING_TTL, Session
from chat_service.web_login.web_login import WebLogin

logger = logging.getLogger("chat_service")

PATH: Final = "/login"
CALLBACK: Final = f"{PATH}/oidc/callback"
#: The cookies. With TLS their names begin with a prefix that keeps other hosts from setting them.
SESSION, PENDING, SECURE_PREFIX = "chat-session", "chat-pending", "__Host-"
#: Maximum size of a request's body in bytes.
MAX_BODY: Final = 16_384
#: The parameter with which the page learns why somebody who comes back is not logged in.
PROBLEM: Final = "problem"

Answer = Callable[[web.Request, Opening], Awaitable[web.Response]]


class LoginSite:
    """``label``: the name of the provider for people. ``login_url``: the page that gives out tokens.
    ``public_url``: where people reach the page; None: what the request says.
    """

    def __init__(
        self,
        login: WebLogin,
        service: ChatService,
        *,
        label: str = "",
        login_url: str | None = None,
        public_url: str | None = None,
    ) -> None:
        self._login = login
        self._service = service
        self._label, self._login_url = label, login_url
        self._public_url = None if public_url is None else public_url.rstrip("/")
        self._own = AllowedOrigins(None)

    def add_routes(self, app: web.Application) -> None:
        """Add the routes to an application."""
        add = app.router.add_route
        add("GET", f"{PATH}/state", self._serve(self._state))
        add("POST", f"{PATH}/password", self._serve(self._password))
        add("POST", f"{PATH}/token", self._serve(self._token))
        add("POST", f"{PATH}/ticket", self._serve(self._ticket))
        add("POST", f"{PATH}/logout", self._serve(self._logout))
        if self._login.oidc is not None:
            add("GET", f"{PATH}/oidc", self._serve(self._oidc))
            add("GET", CALLBACK, self._serve(self._callback))

    def _serve(self, answer: Answer) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def serve(request: web.Request) -> web.Response:
            opening = read_opening(request)
            gate = self._service.transport.get_server().eio.hub
            gate.identify(opening)
            try:
                gate.check_host(opening)
                if request.method == "POST":
                    self._check_page(opening)
                response = await answer(request, opening)
            except Refusal as refusal:
                response = web.json_response({"error": "badRequest", "message": str(refusal)}, status=400)
            except LoginRefused as refused:
                response = _refusal(refused)
                if refused.code == "noSession":
                    self._forget(response, opening, SESSION)
            response.headers["Cache-Control"] = "no-store"
            return response

        return serve

    def _check_page(self, opening: Opening) -> None:
        """Refuse requests of other pages. Programs other than browsers send neither header."""
        headers = opening.headers
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise LoginRefused("badRequest")
        if headers.get("sec-fetch-site", "same-origin") != "same-origin":
            raise LoginRefused("foreignPage")
        own = own_origins(
            opening.scheme, headers.get("host"), opening.forwarded("proto"), opening.forwarded("host")
        )
        if "origin" in headers and not self._own.allows(headers["origin"], own):
            raise LoginRefused("foreignPage")

    # The requests

    async def _state(self, request: web.Request, opening: Opening) -> web.Response:
        """How people can log in, and who is logged in."""
        session = self._session(request, opening)
        try:
            user = self._login.check(session).user
        except LoginRefused:
            user = None
        return web.json_response(
            {
                "kinds": list(self._login.kinds),
                "user": user,
                "label": self._label,
                "loginUrl": self._login_url,
            }
        )

    async def _password(self, request: web.Request, opening: Opening) -> web.Response:
        body = await _body(request)
        address = group_of(opening.remote_addr)
        session = await self._login.by_password(body.get("name"), body.get("password"), address)
        return self._begin(request, opening, session)

    async def _token(self, request: web.Request, opening: Opening) -> web.Response:
        body = await _body(request)
        return self._begin(request, opening, self._login.by_token(body.get("token")))

    async def _ticket(self, request: web.Request, opening: Opening) -> web.Response:
        """A ticket for a socket, and a cookie that lasts longer."""
        await _body(request)
        session = self._login.check(self._session(request, opening))
        ticket, until = self._login.sessions.ticket_of(session)
        response = web.json_response({"ticket": ticket, "user": session.user, "expiresAt": int(until * 1000)})
        self._remember(response, opening, session)
        return response

    async def _logout(self, request: web.Request, opening: Opening) -> web.Response:
        await _body(request)
        session = self._session(request, opening)
        if session is not None:
            self._login.end(session)
        response = web.json_response({})
        self._forget(response, opening, SESSION)
        return response

    async def _oidc(self, request: web.Request, opening: Opening) -> web.Response:
        """Send the browser to the provider."""
        if self._login.oidc is None:
            raise LoginRefused("badRequest")
        try:
            url, pending = await self._login.oidc.begin(f"{self._base(opening)}{CALLBACK}")
        except LoginRefused as refused:
            return self._back(refused.code)
        response = web.Response(status=302, headers={"Location": url})
        token = self._login.sessions.sign_pending(pending)
        # The way back begins at another site, so the cookie must be lax.
        self._set(response, opening, PENDING, token, int(PENDING_TTL), "Lax")
        return response

    async def _callback(self, request: web.Request, opening: Opening) -> web.Response:
        pending = self._login.sessions.read_pending(request.cookies.get(self._name(opening, PENDING)))
        try:
            if pending is None:
                raise LoginRefused("badLogin")
            session = await self._login.by_oidc(pending, opening.query)
        except LoginRefused as refused:
            response = self._back(refused.code)
        else:
            response = self._back(None)
            self._end_former(request, opening)
            self._remember(response, opening, session)
        self._forget(response, opening, PENDING)
        return response

    def _back(self, problem: str | None) -> web.Response:
        base = self._public_url or ""
        where = f"{base}/" if problem is None else f"{base}/?{PROBLEM}={problem}"
        return web.Response(status=303, headers={"Location": where})

    # Cookies

    def _session(self, request: web.Request, opening: Opening) -> Session | None:
        return self._login.sessions.read_cookie(request.cookies.get(self._name(opening, SESSION)))

    def _begin(self, request: web.Request, opening: Opening, session: Session) -> web.Response:
        self._end_former(request, opening)
        response = web.json_response({"user": session.user})
        self._remember(response, opening, session)
        return response

    def _end_former(self, request: web.Request, opening: Opening) -> None:
        former = self._session(request, opening)
        if former is not None:
            self._login.end(former)

    def _remember(self, response: web.Response, opening: Opening, session: Session) -> None:
        token, seconds = self._login.sessions.cookie_of(session)
        self._set(response, opening, SESSION, token, seconds, "Strict")

    def _set(
        self, response: web.Response, opening: Opening, name: str, value: str, seconds: int, same_site: str
    ) -> None:
        response.set_cookie(
            self._name(opening, name),
            value,
            max_age=seconds,
            path="/",
            httponly=True,
            secure=self._is_secure(opening),
            samesite=same_site,
        )

    def _forget(self, response: web.Response, opening: Opening, name: str) -> None:
        self._set(response, opening, name, "", 0, "Strict")

    def _name(self, opening: Opening, name: str) -> str:
        return f"{SECURE_PREFIX}{name}" if self._is_secure(opening) else name

    def _is_secure(self, opening: Opening) -> bool:
        return self._base(opening).startswith("https://")

    def _base(self, opening: Opening) -> str:
        """The address of the page, without a path."""
        if self._public_url is not None:
            parts = urlsplit(self._public_url)
            return f"{parts.scheme}://{parts.netloc}"
        scheme = opening.forwarded("proto") or opening.scheme
        host = opening.forwarded("host") or opening.headers.get("host", "")
        return f"{scheme}://{host}"


async def _body(request: web.Request) -> dict[str, Any]:
    """The JSON object of a request. Raises ``LoginRefused`` (badRequest)."""
    raw = bytearray()
    async for chunk in request.content.iter_any():
        raw += chunk
        if len(raw) > MAX_BODY:
            raise LoginRefused("badRequest")
    try:
        found = json.loads(raw or b"{}")
    except (ValueError, RecursionError):
        raise LoginRefused("badRequest") from None
    if not isinstance(found, dict):
        raise LoginRefused("badRequest")
    return found


def _refusal(refused: LoginRefused) -> web.Response:
    seconds = int(refused.wait) + 1 if refused.wait else 0
    headers = {"Retry-After": str(seconds)} if seconds else None
    return web.json_response(
        {"error": refused.code, "seconds": seconds}, status=refused.status, headers=headers
    )
