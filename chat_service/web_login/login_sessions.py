"""Sessions of the page: signed tokens in a cookie, and the tickets with which its sockets log in.

A cookie is good for as long as its session may be idle, and is renewed with each ticket. A ticket is good for
a minute. It says until when the login of a socket lasts; then the page has to get another one, for which the
session is checked again.
"""

import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

from chat_service.errors import ConfigurationError
from chat_service.jwt_login import check_secret

ALGORITHM: Final = "HS256"
#: The purposes of tokens, so that one cannot be mistaken for another.
COOKIE, TICKET, PENDING = "chat-service:session", "chat-service:ticket", "chat-service:pending"
#: Seconds for which a ticket can be used, and in which somebody has to come back from a provider.
TICKET_TTL: Final = 60.0
PENDING_TTL: Final = 600.0
#: Ended sessions that are remembered at a time; the oldest are forgotten first.
MAX_ENDED: Final = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A login of a page. Times are in seconds of Unix time."""

    id: str
    user: str
    #: How the user has logged in: "password", "jwt" or "oidc".
    kind: str
    #: When it ends, however often it is renewed.
    ends: float
    #: Changes with the user's password; empty for other kinds.
    proof: str = ""


class Sessions:
    """Makes and checks the tokens.

    ``secret``: signs them; all instances need the same. None: a random one, so sessions end with the process.
    ``ttl``: seconds for which a socket's login lasts. ``idle``: seconds without a page after which a session
    ends. ``lifetime``: seconds after which it ends in any case. Raises ``ConfigurationError`` if PyJWT is
    missing or the secret is too short.
    """

    def __init__(
        self,
        secret: str | None = None,
        *,
        ttl: float = 900.0,
        idle: float = 43_200.0,
        lifetime: float = 604_800.0,
    ) -> None:
        try:
            import jwt
        except ImportError:
            raise ConfigurationError("[login] sessions need PyJWT: pip install '.[login]'") from None
        if secret is not None:
            check_secret(secret, [ALGORITHM], what="session_secret")
        self._jwt: Any = jwt
        self._secret = secret or secrets.token_hex(32)
        self._ttl, self._idle, self._lifetime = ttl, idle, lifetime
        #: The ids of sessions that were ended, and when they would have ended.
        self._ended: OrderedDict[str, float] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Sessions ttl={self._ttl} idle={self._idle} lifetime={self._lifetime}>"

    def begin(self, user: str, kind: str, *, proof: str = "", ends: float | None = None) -> Session:
        """A new session. ``ends``: when it ends at the latest, besides ``lifetime``."""
        latest = time.time() + self._lifetime
        return Session(
            id=secrets.token_urlsafe(16),
            user=user,
            kind=kind,
            ends=latest if ends is None else min(latest, ends),
            proof=proof,
        )

    def cookie_of(self, session: Session) -> tuple[str, int]:
        """The token for the cookie, and for how many seconds it is good."""
        left = max(0.0, min(self._idle, session.ends - time.time()))
        return self._sign(COOKIE, session, time.time() + left), int(left)

    def ticket_of(self, session: Session) -> tuple[str, float]:
        """A ticket, and until when the login of a socket that uses it lasts."""
        until = min(time.time() + self._ttl, session.ends)
        return self._sign(TICKET, session, time.time() + TICKET_TTL, until=until), until

    def read_cookie(self, token: Any) -> Session | None:
        """The session of a cookie; None if it is over or the cookie is not ours."""
        claims = self._claims(token, COOKIE)
        return None if claims is None else self._session(claims)

    def read_ticket(self, token: Any) -> tuple[Session, float] | None:
        """The session of a ticket, and until when the login lasts."""
        claims = self._claims(token, TICKET)
        session = None if claims is None else self._session(claims)
        return None if claims is None or session is None else (session, float(claims["until"]))

    def id_of_ticket(self, token: Any) -> str | None:
        """The id of the session of a ticket, which may be too old."""
        claims = self._claims(token, TICKET, may_be_old=True)
        return None if claims is None else str(claims["sid"])

    def sign_pending(self, content: dict[str, Any]) -> str:
        """A token about a login that goes on at a provider."""
        return self._encode({**content, "aud": PENDING, "exp": time.time() + PENDING_TTL})

    def read_pending(self, token: Any) -> dict[str, Any] | None:
        """The content of such a token; None if it is too old or not ours."""
        return self._claims(token, PENDING)

    def end(self, session_id: str, ends: float) -> None:
        """Refuse a session from now on."""
        now = time.time()
        while self._ended and (len(self._ended) >= MAX_ENDED or next(iter(self._ended.values())) < now):
            self._ended.popitem(last=False)
        self._ended[session_id] = ends

    def _sign(self, audience: str, session: Session, expires: float, **more: Any) -> str:
        return self._encode(
            {
                "aud": audience,
                "exp": expires,
                "sid": session.id,
                "sub": session.user,
                "kind": session.kind,
                "ends": session.ends,
                "proof": session.proof,
                **more,
            }
        )

    def _encode(self, claims: dict[str, Any]) -> str:
        made: str = self._jwt.encode(claims, self._secret, algorithm=ALGORITHM)
        return made

    def _claims(self, token: Any, audience: str, *, may_be_old: bool = False) -> dict[str, Any] | None:
        if not isinstance(token, str):
            return None
        try:
            found: dict[str, Any] = self._jwt.decode(
                token,
                self._secret,
                algorithms=[ALGORITHM],
                audience=audience,
                options={"require": ["exp", "aud"], "verify_exp": not may_be_old},
            )
        except (self._jwt.PyJWTError, ValueError):
            return None
        return found

    def _session(self, claims: dict[str, Any]) -> Session | None:
        session = Session(
            id=claims["sid"],
            user=claims["sub"],
            kind=claims["kind"],
            ends=claims["ends"],
            proof=claims["proof"],
        )
        is_over = session.ends <= time.time() or session.id in self._ended
        return None if is_over else session
