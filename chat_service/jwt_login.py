"""Logins by JSON Web Tokens: hooks for ``on_connect`` and ``on_refresh``. Needs the extra ``jwt`` (PyJWT)."""

import json
import logging
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from chat_service.errors import ChatServiceError, ConfigurationError
from chat_service.hooks import Login

if TYPE_CHECKING:
    from chat_service.service import ChatService

logger = logging.getLogger("chat_service")

#: Minimum number of bytes of a secret: the length of the hash (RFC 7518, 3.2).
HMAC_SECRETS: Final = {"HS256": 32, "HS384": 48, "HS512": 64}
#: Maximum size of a key file in bytes.
MAX_KEY_FILE: Final = 1_000_000
#: Seconds between two checks whether the key file has changed.
LOOK_AGAIN: Final = 1.0


class LoginError(ChatServiceError):
    """Why a login is rejected, as much as the client may know."""

    texts = {"badToken": "The token is not valid"}  # noqa: RUF012 - never changed


class JwtLogin:
    """Takes the user from a signed token, and ends the login when the token expires.

    ``secret``: the key of HMAC signatures. ``key_file``: a PEM public key, or a JWK set (JSON), for RSA, EC
    and Ed25519 signatures. The file is read again when it changes, so keys can be rotated without a
    restart. With a set, the token's ``kid`` selects the key.

    ``algorithms``: the accepted algorithms; a token cannot choose another. ``user_claim``: the claim with
    the user's name. ``audience``, ``issuer``: required values of these claims, if given. ``leeway``:
    allowed clock difference in seconds. ``require_expiry``: refuse tokens without ``exp``. ``source``,
    ``field``: where the token is in the handshake: "auth" or "query", and its field. ``ephemeral``: see
    ``Login``.

    Raises ``ConfigurationError`` if PyJWT is missing, the key cannot be used, or the secret is too short.
    """

    def __init__(
        self,
        *,
        secret: str | None = None,
        key_file: str | os.PathLike[str] | None = None,
        algorithms: Sequence[str] = ("HS256",),
        user_claim: str = "sub",
        audience: str | None = None,
        issuer: str | None = None,
        leeway: float = 0.0,
        require_expiry: bool = True,
        source: str = "auth",
        field: str = "token",
        ephemeral: bool = False,
    ) -> None:
        try:
            import jwt
        except ImportError:
            raise ConfigurationError("[login] jwt needs PyJWT: pip install 'pyjwt[crypto]>=2.8,<3'") from None
        if (secret is None) == (key_file is None):
            raise ConfigurationError("[login] jwt needs either a secret or a key file")
        self._jwt = jwt
        self._algorithms = list(algorithms)
        self._user_claim = user_claim
        self._audience = audience
        self._issuer = issuer
        self._leeway = leeway
        self._required = [user_claim, "exp"] if require_expiry else [user_claim]
        self._source = source
        self._field = field
        self._ephemeral = ephemeral
        if secret is not None:
            check_secret(secret, self._algorithms)
            self._keys: _Keys = _Keys(jwt, self._algorithms, secret=secret)
        else:
            self._keys = _Keys(jwt, self._algorithms, path=Path(key_file or ""))

    def __repr__(self) -> str:
        return f"<JwtLogin {'/'.join(self._algorithms)}>"

    def read(self, token: Any) -> Mapping[str, Any]:
        """The claims of a token. Raises ``LoginError``."""
        try:
            claims: Mapping[str, Any] = self._jwt.decode(
                token,
                self._keys.for_token(token),
                # We choose the algorithms: a token that named its own could choose a weaker one.
                algorithms=self._algorithms,
                audience=self._audience,
                issuer=self._issuer,
                leeway=self._leeway,
                options={"require": self._required},
            )
        except (self._jwt.PyJWTError, ValueError):
            # Do not tell the sender why the token is invalid.
            raise LoginError("badToken") from None
        if not isinstance(claims[self._user_claim], str):
            raise LoginError("badToken")
        return claims

    async def on_connect(self, service: "ChatService", socket_id: str) -> Login:
        """The login for the token in the handshake."""
        handshake = service.transport.get_handshake_data(socket_id)
        fields = handshake.query if self._source == "query" else handshake.auth
        return self.login_of(fields.get(self._field) if isinstance(fields, Mapping) else None)

    async def on_refresh(self, service: "ChatService", socket_id: str, credentials: Any) -> Login:
        """The login for a newer token, passed as a string or in a mapping as in the handshake."""
        return self.login_of(
            credentials.get(self._field) if isinstance(credentials, Mapping) else credentials
        )

    def login_of(self, token: Any) -> Login:
        """The login for a token. Raises ``LoginError``."""
        claims = self.read(token)
        ends = claims.get("exp")
        return Login(
            claims[self._user_claim],
            None if ends is None else {"expiresAt": int(ends * 1000)},
            expires_at=None if ends is None else ends + self._leeway,
            ephemeral=self._ephemeral,
        )


class _Keys:
    """The key made from a secret, or the keys in a file, which may change."""

    def __init__(
        self, jwt: Any, algorithms: Sequence[str], *, secret: str | None = None, path: Path | None = None
    ) -> None:
        self._jwt = jwt
        self._algorithms = algorithms
        self._path = path
        self._looked = 0.0
        self._version: tuple[int, int] | None = None
        #: The keys of a set by their ids.
        self._by_id: dict[str, Any] = {}
        #: The key for tokens without an id.
        self._only: Any = None
        if path is None:
            self._only = secret
            self._check(secret)
        else:
            self._read(path)

    def for_token(self, token: Any) -> Any:
        """The key with which a token must be signed. Raises ``PyJWTError``."""
        if self._path is not None and time.monotonic() - self._looked >= LOOK_AGAIN:
            self._look_again(self._path)
        if not self._by_id:
            return self._only
        if not isinstance(token, str | bytes):
            raise self._jwt.InvalidTokenError("no token")
        key_id = self._jwt.get_unverified_header(token).get("kid")
        key = self._by_id.get(key_id) if isinstance(key_id, str) else self._only
        if key is None:
            raise self._jwt.InvalidTokenError("no such key")
        return key

    def _look_again(self, path: Path) -> None:
        self._looked = time.monotonic()
        try:
            if _version_of(path) != self._version:
                self._read(path)
        except (OSError, ConfigurationError) as error:
            # Keep the old keys: a file that is just being written must not lock everyone out.
            logger.error("the login keys could not be read again, the former ones stay: %s", error)

    def _read(self, path: Path) -> None:
        self._looked = time.monotonic()
        try:
            version = _version_of(path)
            if path.stat().st_size > MAX_KEY_FILE:
                raise ConfigurationError(f"[login] key file {path}: larger than {MAX_KEY_FILE} bytes")
            text = path.read_text("utf-8")
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"[login] key file {path}: {error}") from None
        if text.lstrip().startswith("{"):
            self._by_id, self._only = self._read_set(path, text)
        else:
            self._check(text)
            self._by_id, self._only = {}, text
        self._version = version

    def _read_set(self, path: Path, text: str) -> tuple[dict[str, Any], Any]:
        try:
            # The library leaves out keys for other uses.
            keys = self._jwt.PyJWKSet.from_dict(json.loads(text)).keys
        except (self._jwt.PyJWTError, ValueError, TypeError, AttributeError) as error:
            raise ConfigurationError(
                f"[login] key file {path}: no JWK set that can be used: {error}"
            ) from None
        by_id = {key.key_id: key for key in keys if isinstance(key.key_id, str)}
        if not by_id and len(keys) > 1:
            raise ConfigurationError(f"[login] key file {path}: several keys need a kid each")
        return by_id, keys[0] if len(keys) == 1 else None

    def _check(self, key: Any) -> None:
        try:
            for name in self._algorithms:
                self._jwt.get_algorithm_by_name(name).prepare_key(key)
        except (NotImplementedError, self._jwt.InvalidKeyError, ValueError, TypeError) as error:
            raise ConfigurationError(f"[login] algorithms and key: {error}") from None


def _version_of(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_ino


def check_secret(secret: str, algorithms: Iterable[str], *, what: str = "secret") -> None:
    """Raise ``ConfigurationError`` if a secret is shorter than the hash of its signature algorithm."""
    size = len(secret.encode())
    for name in algorithms:
        needed = HMAC_SECRETS.get(name, 0)
        if size < needed:
            raise ConfigurationError(
                f"[login] {what}: {name} needs {needed} bytes or more, or it could be guessed; this one has "
                f"{size}. `openssl rand -hex {needed}` prints a good one"
            )
