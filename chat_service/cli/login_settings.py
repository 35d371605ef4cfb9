"""The section ``[login]`` of ``serve``'s file."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final

from chat_service.errors import ConfigurationError

KINDS: Final = ("jwt", "name", "password", "oidc")
#: The longest time in seconds that a session can last: a year.
MAX_SECONDS: Final = 31_536_000
#: The keys that are for some kinds only.
_FOR: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(("source", "field"), ("jwt", "name")),
    **dict.fromkeys(
        (
            "secret",
            "public_key_file",
            "jwks_file",
            "algorithms",
            "user_claim",
            "audience",
            "issuer",
            "leeway",
            "require_expiry",
            "login_url",
        ),
        ("jwt",),
    ),
    **dict.fromkeys(("users_file", "attempts_per_address", "attempts_per_name"), ("password",)),
    **dict.fromkeys(
        (
            "oidc_issuer",
            "oidc_client_id",
            "oidc_scopes",
            "oidc_user_claim",
            "oidc_label",
        ),
        ("oidc",),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginSettings:
    """The section ``[login]``: how users log in."""

    #: How users log in, or a list of several ways. "password": with the names and passwords of `users_file`.
    #: "oidc": at a provider of OpenID Connect. "jwt": a signed token names the user. "name": the client's
    #: name is trusted; for experiments only.
    type: str | tuple[str, ...]
    #: Serve the web chat at `/`.  [default: true with password or oidc]
    page: bool | None = None
    #: Where the token or the name is in the handshake: a field of "auth", or of the "query".
    source: str = "auth"
    #: Name of that field.  [default: "token" for jwt, "userName" for name]
    field: str | None = None
    #: jwt: the key of HMAC signatures (HS256, …).
    secret: str | None = None
    #: jwt: a PEM file with the public key of RSA, EC or Ed25519 signatures.
    public_key_file: str | None = None
    #: jwt: a file with a JWK set of public keys. It is read again when it changes.
    jwks_file: str | None = None
    #: jwt: accepted signature algorithms.
    algorithms: tuple[str, ...] = ("HS256",)
    #: jwt: the claim that names the user.
    user_claim: str = "sub"
    #: jwt: the required audience of tokens.
    audience: str | None = None
    #: jwt: the required issuer of tokens.
    issuer: str | None = None
    #: jwt: allowed clock difference in seconds.
    leeway: float = 0.0
    #: jwt: refuse tokens that do not expire.
    require_expiry: bool = True
    #: jwt: the page that gives out tokens, to which the web chat has a link.
    login_url: str | None = None
    #: password: the file with names and hashes that `chat-service passwd` writes. It is read again when it
    #: changes.
    users_file: str | None = None
    #: password: attempts of one address within a minute.
    attempts_per_address: int = 30
    #: password: attempts for one name within a minute.
    attempts_per_name: int = 10
    #: oidc: the provider, as it calls itself.
    oidc_issuer: str | None = None
    #: oidc: what the provider calls this service.
    oidc_client_id: str | None = None
    #: oidc: the secret that the provider knows; none for public clients.
    oidc_client_secret: str | None = None
    #: oidc: what is asked of the provider; "openid" is required.
    oidc_scopes: tuple[str, ...] = ("openid", "profile")
    #: oidc: the claim that names the user; the provider must not let people choose the names of others.
    oidc_user_claim: str = "preferred_username"
    #: oidc: the name of the provider on the login page.
    oidc_label: str = "your account"
    #: Where people reach the web chat, such as "https://chat.example.org".  [default: as requests say]
    public_url: str | None = None
    #: The key that sessions of the web chat are signed with, the same for all instances.  [default: random]
    session_secret: str | None = None
    #: Seconds after which a session is checked again, and a page has to renew its login.
    session_ttl: float = 900.0
    #: Seconds without an open page after which a session ends.
    session_idle: float = 43200.0
    #: Seconds after which a session ends in any case.
    session_lifetime: float = 604800.0
    #: Delete new users, including their lists, when their last socket disconnects.
    ephemeral: bool = False

    def __post_init__(self) -> None:
        kinds = self.kinds
        for kind in kinds:
            if kind not in KINDS:
                known = " or ".join(map(repr, KINDS))
                raise ConfigurationError(f"[login] type: expected {known}, got {kind!r}")
        if not kinds or len(set(kinds)) < len(kinds) or ("name" in kinds and len(kinds) > 1):
            raise ConfigurationError('[login] type: expected different ones, and "name" only alone')
        for item in fields(self):
            ours = _FOR.get(item.name)
            if ours and not set(ours) & set(kinds) and getattr(self, item.name) != item.default:
                raise ConfigurationError(f'[login] {item.name} is for type = "{ours[0]}"')
        if self.source not in ("auth", "query"):
            raise ConfigurationError(f"[login] source: expected 'auth' or 'query', got {self.source!r}")
        self._check_jwt()
        self._check_page()

    def _check_jwt(self) -> None:
        keys = [key for key in (self.secret, self.public_key_file, self.jwks_file) if key is not None]
        if "jwt" in self.kinds and len(keys) != 1:
            raise ConfigurationError(
                "[login] jwt needs either secret, public_key_file or jwks_file; the environment variable "
                "CHAT_LOGIN_SECRET can set the secret"
            )

    def _check_page(self) -> None:
        if "password" in self.kinds and self.users_file is None:
            raise ConfigurationError("[login] password needs users_file")
        if "oidc" in self.kinds and (self.oidc_issuer is None or self.oidc_client_id is None):
            raise ConfigurationError("[login] oidc needs oidc_issuer and oidc_client_id")
        if self.page is False and {"password", "oidc"} & set(self.kinds):
            raise ConfigurationError("[login] page = false: password and oidc need the page")
        for name in ("public_url", "login_url"):
            url = getattr(self, name)
            if url is not None and not url.startswith(("https://", "http://")):
                raise ConfigurationError(f"[login] {name}: expected an https:// URL, got {url!r}")
        for name in ("session_ttl", "session_idle", "session_lifetime"):
            if not 1 <= getattr(self, name) <= MAX_SECONDS:
                raise ConfigurationError(f"[login] {name}: expected seconds, from 1 to {MAX_SECONDS}")
        for name in ("attempts_per_address", "attempts_per_name"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"[login] {name}: expected a number, more than 0")

    @property
    def kinds(self) -> tuple[str, ...]:
        """How users log in."""
        return (self.type,) if isinstance(self.type, str) else self.type

    @property
    def has_page(self) -> bool:
        """Whether the web chat is served."""
        return bool({"password", "oidc"} & set(self.kinds)) if self.page is None else self.page

    @property
    def field_name(self) -> str:
        """The field of the handshake."""
        return self.field or ("token" if "jwt" in self.kinds else "userName")
