"""``on_connect`` hooks for ``serve``: a signed token, or the client's word."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from chat_service.cli.sections import LoginSettings
from chat_service.errors import ChatServiceError, ConfigurationError

if TYPE_CHECKING:
    from chat_service.service import ChatService


class LoginError(ChatServiceError):
    """Why a login is rejected, as far as it is the client's business."""

    texts = {"badToken": "The token is not valid"}  # noqa: RUF012 - never changed


class NameLogin:
    """Takes the client's word for the name. Whoever connects can be anybody."""

    def __init__(self, settings: LoginSettings) -> None:
        self._settings = settings

    async def on_connect(self, service: "ChatService", socket_id: str) -> Any:
        """The name of the handshake, or None, which is refused."""
        return _given(self._settings, service, socket_id)


#: Bytes that the secret of a signature needs: as many as its hash has (RFC 7518, 3.2).
HMAC_SECRETS: Final = {"HS256": 32, "HS384": 48, "HS512": 64}


def check_secret(secret: str, algorithms: Iterable[str]) -> None:
    """Raise ``ConfigurationError`` for a secret that is shorter than the hash of a signature."""
    size = len(secret.encode())
    for name in algorithms:
        needed = HMAC_SECRETS.get(name, 0)
        if size < needed:
            raise ConfigurationError(
                f"[login] secret: {name} needs {needed} bytes or more, or it could be guessed; this one has "
                f"{size}. `openssl rand -hex {needed}` prints a good one"
            )


class JwtLogin:
    """Takes the name from a signed token, and disconnects its sockets when it expires.

    Raises ``ConfigurationError`` when PyJWT is missing, cannot use the key, or the secret is too short.
    """

    def __init__(self, settings: LoginSettings) -> None:
        if settings.secret is not None:
            check_secret(settings.secret, settings.algorithms)
        try:
            import jwt
        except ImportError:
            raise ConfigurationError("[login] jwt needs PyJWT: pip install 'pyjwt>=2.8,<3'") from None
        self._jwt = jwt
        self._settings = settings
        self._key = settings.secret or _read_key(settings.public_key_file or "")
        try:
            for name in settings.algorithms:
                jwt.get_algorithm_by_name(name).prepare_key(self._key)
        except (NotImplementedError, jwt.InvalidKeyError, ValueError, TypeError) as error:
            raise ConfigurationError(f"[login] algorithms and key: {error}") from None
        #: Timers that disconnect sockets, by socket.
        self._ends: dict[str, asyncio.TimerHandle] = {}

    def read(self, token: Any) -> Mapping[str, Any]:
        """The claims of a token. Raises ``LoginError``."""
        settings = self._settings
        try:
            claims: Mapping[str, Any] = self._jwt.decode(
                token,
                self._key,
                # Ours to name: a token that named its own could choose a weaker one.
                algorithms=list(settings.algorithms),
                audience=settings.audience,
                issuer=settings.issuer,
                leeway=settings.leeway,
                options={"require": [settings.user_claim]},
            )
        except self._jwt.PyJWTError:
            # Why it is bad is not for whoever brings it.
            raise LoginError("badToken") from None
        return claims

    async def on_connect(self, service: "ChatService", socket_id: str) -> Any:
        """The user that the token names."""
        claims = self.read(_given(self._settings, service, socket_id))
        user = claims[self._settings.user_claim]
        if not isinstance(user, str):
            raise LoginError("badToken")
        if "exp" in claims:
            delay = claims["exp"] + self._settings.leeway - time.time()
            loop = asyncio.get_running_loop()
            self._ends[socket_id] = loop.call_later(delay, self._end, service, socket_id)
            return user, {"expiresAt": int(claims["exp"] * 1000)}
        return user

    def _end(self, service: "ChatService", socket_id: str) -> None:
        self._ends.pop(socket_id, None)
        if service.transport.get_handshake_data(socket_id).is_connected:
            service.transport.disconnect_socket(socket_id)

    def on_disconnect(self, service: "ChatService", info: Any) -> None:
        """The timer is no longer needed."""
        timer = self._ends.pop(info.id, None)
        if timer is not None:
            timer.cancel()


def make_login(settings: LoginSettings) -> NameLogin | JwtLogin:
    """The hooks of a login. Raises ``ConfigurationError``."""
    return JwtLogin(settings) if settings.type == "jwt" else NameLogin(settings)


def _given(settings: LoginSettings, service: "ChatService", socket_id: str) -> Any:
    handshake = service.transport.get_handshake_data(socket_id)
    fields = handshake.query if settings.source == "query" else handshake.auth
    return fields.get(settings.field_name) if isinstance(fields, Mapping) else None


def _read_key(path: str) -> str:
    try:
        return Path(path).read_text("ascii")
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"[login] public_key_file {path}: {error}") from None
