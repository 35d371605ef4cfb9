"""The logins of the web chat: the hooks of the service, and the work behind the page's requests."""

import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from chat_service.errors import ChatServiceError, ServiceClosedError, shorten
from chat_service.guesses import Failures
from chat_service.hooks import Login
from chat_service.jwt_login import JwtLogin, LoginError
from chat_service.protocol.names import is_valid_name
from chat_service.web_login.login_errors import LoginRefused
from chat_service.web_login.login_sessions import Session, Sessions
from chat_service.web_login.oidc import OidcLogin
from chat_service.web_login.password_file import PasswordFile

#: Attempts of one address, and for one name, within a minute.
PER_ADDRESS: Final = 30
PER_NAME: Final = 10


class Attempts:
    """Counts attempts before they are tried, so that attempts at the same time count, too.

    Right passwords count for their address as well: otherwise somebody with an account of their own could
    clear the count.
    """

    def __init__(self, per_address: int = PER_ADDRESS, per_name: int = PER_NAME) -> None:
        self._addresses = Failures(per_address)
        self._names = Failures(per_name)

    def begin(self, address: str, name: str) -> None:
        """Count an attempt. Raises ``LoginRefused`` if there are too many."""
        now = time.monotonic()
        for counts, key, what in ((self._addresses, address, "from"), (self._names, name, "for the name")):
            count, rest = counts.note(key, now)
            if counts.is_over(count):
                if not counts.is_over(count - 1):
                    logger.warning("logins: too many attempts %s %s", what, shorten(repr(key)))
                raise LoginRefused("tooManyAttempts", wait=rest)

    def succeeded(self, name: str) -> None:
        """The attempt was right: the count of the name starts over."""
        self._names.forget(name)


if TYPE_CHECKING:
    from chat_service.service import ChatService

logger = logging.getLogger("chat_service")

#: The message between instances that a session was ended.
ENDED: Final = "web-login:ended"


class ClientLogin(Protocol):
    """The login of clients that bring their credentials along: tokens, or names that are trusted."""

    async def on_connect(self, service: "ChatService", socket_id: str) -> Login | None: ...


class WebLogin:
    """The logins of a service whose page is served here.

    ``users``, ``oidc``: None if people cannot log in that way. ``client_login``: for sockets without a ticket
    of the page; None refuses them. If it is a ``JwtLogin``, the page takes its tokens, too.
    """

    def __init__(
        self,
        sessions: Sessions,
        *,
        users: PasswordFile | None = None,
        oidc: OidcLogin | None = None,
        client_login: ClientLogin | None = None,
        attempts_per_address: int = PER_ADDRESS,
        attempts_per_name: int = PER_NAME,
        name_length: int = 256,
        ephemeral: bool = False,
    ) -> None:
        self.sessions = sessions
        self.users = users
        self.oidc = oidc
        self._client_login = client_login
        self._attempts = Attempts(attempts_per_address, attempts_per_name)
        self._name_length = name_length
        self._ephemeral = ephemeral
        #: Logins of pages by kind and outcome.
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self._service: ChatService | None = None

    @property
    def kinds(self) -> Sequence[str]:
        """How people can log in on the page."""
        found = []
        if self.users is not None:
            found.append("password")
        if self.oidc is not None:
            found.append("oidc")
        if isinstance(self._client_login, JwtLogin):
            found.append("jwt")
        elif self._client_login is not None:
            found.append("name")
        return found

    def use(self, service: "ChatService") -> None:
        """Hear of ended sessions. Call it once, before the start."""
        self._service = service
        service.cluster_bus.on(ENDED, self._on_ended)

    # Hooks

    async def on_connect(self, service: "ChatService", socket_id: str) -> Login | None:
        """The login for the ticket of the page, or for what other clients bring along."""
        auth = service.transport.get_handshake_data(socket_id).auth
        ticket = auth.get("ticket") if isinstance(auth, Mapping) else None
        if ticket is None:
            if self._client_login is None:
                raise LoginError("badToken")
            return await self._client_login.on_connect(service, socket_id)
        return self._read(ticket)

    async def on_refresh(self, service: "ChatService", socket_id: str, credentials: Any) -> Login:
        """The login for a newer ticket, or a newer token."""
        ticket = credentials.get("ticket") if isinstance(credentials, Mapping) else None
        if ticket is None and isinstance(self._client_login, JwtLogin):
            return await self._client_login.on_refresh(service, socket_id, credentials)
        return self._read(ticket)

    def _read(self, ticket: Any) -> Login:
        found = self.sessions.read_ticket(ticket)
        if found is None:
            raise LoginError("badToken")
        session, until = found
        data = {"expiresAt": int(until * 1000)}
        return Login(session.user, data, expires_at=until, ephemeral=self._ephemeral)

    # Requests of the page. They raise ``LoginRefused``.

    async def by_password(self, name: Any, password: Any, address: str) -> Session:
        """A session for a name and a password."""
        if self.users is None or not isinstance(name, str) or not isinstance(password, str):
            raise LoginRefused("badRequest")
        if not is_valid_name(name, self._name_length):
            raise self._refused("password", "wrong", LoginRefused("badLogin"))
        try:
            self._attempts.begin(address, name)
        except LoginRefused as refused:
            raise self._refused("password", "limited", refused) from None
        proof = await self.users.verify(name, password)
        if proof is None:
            logger.warning("logins: a wrong password for %r from %s", name, address)
            raise self._refused("password", "wrong", LoginRefused("badLogin"))
        self._attempts.succeeded(name)
        return self._begun("password", name, proof=proof)

    def by_token(self, token: Any) -> Session:
        """A session for a JSON Web Token, which ends with it."""
        if not isinstance(self._client_login, JwtLogin):
            raise LoginRefused("badRequest")
        try:
            login = self._client_login.login_of(token)
        except ChatServiceError:
            raise self._refused("jwt", "wrong", LoginRefused("badToken")) from None
        if not is_valid_name(login.name, self._name_length):
            raise self._refused("jwt", "wrong", LoginRefused("badToken"))
        return self._begun("jwt", login.name, ends=login.expires_at)

    async def by_oidc(self, pending: Mapping[str, Any], query: Mapping[str, str]) -> Session:
        """A session for who comes back from the provider."""
        if self.oidc is None:
            raise LoginRefused("badRequest")
        try:
            name = await self.oidc.finish(pending, query)
        except LoginRefused as refused:
            outcome = "wrong" if refused.code == "badLogin" else "failed"
            raise self._refused("oidc", outcome, refused) from None
        if not is_valid_name(name, self._name_length):
            logger.warning("logins: the provider's name %.100r cannot be used", name)
            raise self._refused("oidc", "wrong", LoginRefused("badLogin"))
        return self._begun("oidc", name)

    def check(self, session: Session | None) -> Session:
        """The session if it goes on. A password session ends when the password changes."""
        if session is None:
            raise LoginRefused("noSession")
        if session.kind == "password" and (
            self.users is None or self.users.proof_of(session.user) != session.proof
        ):
            raise LoginRefused("noSession")
        return session

    def end(self, session: Session) -> None:
        """End a session on all instances, and disconnect its sockets."""
        if self._service is not None:
            self._service.cluster_bus.emit(ENDED, session.id, session.user, session.ends)

    def _begun(self, kind: str, user: str, *, proof: str = "", ends: float | None = None) -> Session:
        self.outcomes[kind, "ok"] += 1
        return self.sessions.begin(user, kind, proof=proof, ends=ends)

    def _refused(self, kind: str, outcome: str, error: LoginRefused) -> LoginRefused:
        self.outcomes[kind, outcome] += 1
        return error

    # Events

    async def _on_ended(self, session_id: str, user: str, ends: float) -> None:
        self.sessions.end(session_id, ends)
        service = self._service
        if service is None:
            return
        try:
            sockets = await service.get_instance_sockets()
        except ServiceClosedError:
            return
        for socket_id, name in sockets.items():
            if name == user and self._session_of(service, socket_id) == session_id:
                service.transport.disconnect_socket(socket_id)

    def _session_of(self, service: "ChatService", socket_id: str) -> str | None:
        auth = service.transport.get_handshake_data(socket_id).auth
        return self.sessions.id_of_ticket(auth.get("ticket")) if isinstance(auth, Mapping) else None
