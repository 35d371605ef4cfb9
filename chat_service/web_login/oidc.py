"""OpenID Connect by Authlib: authorization code with PKCE, state and nonce. Needs the extra ``oidc``."""

import hmac
import logging
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from chat_service.errors import ConfigurationError
from chat_service.service.runner import is_loopback
from chat_service.web_login.login_errors import LoginRefused

logger = logging.getLogger("chat_service")

#: Seconds for one request to the provider.
TIMEOUT: Final = 10.0
#: Maximum size of an answer of the provider in bytes.
MAX_ANSWER: Final = 1_000_000
#: Seconds for which the provider's addresses are kept, and between two requests for keys that are missing.
METADATA_TTL, KEYS_AGAIN = 3600.0, 10.0
#: Allowed clock difference in seconds.
LEEWAY: Final = 60
#: Signatures that are accepted, if the provider uses them. All need a key that only the provider has.
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcSettings:
    """How to use a provider. ``client_secret`` is None for a public client."""

    issuer: str
    client_id: str
    client_secret: str | None = None
    scopes: Sequence[str] = ("openid", "profile")
    user_claim: str = "preferred_username"

    def __post_init__(self) -> None:
        parts = urlsplit(self.issuer)
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
            raise ConfigurationError("[login] oidc_issuer: expected an https:// URL")
        if "openid" not in self.scopes:
            raise ConfigurationError('[login] oidc_scopes: "openid" is missing')


class OidcLogin:
    """Sends people to a provider, and finds out who comes back. Raises ``ConfigurationError``."""

    def __init__(self, settings: OidcSettings) -> None:
        try:
            import authlib.integrations.httpx_client
            import authlib.oidc.core
            import joserfc.errors
            import joserfc.jwk
            import joserfc.jwt
        except ImportError:
            raise ConfigurationError("[login] oidc needs Authlib and httpx2: pip install '.[oidc]'") from None
        self._client_class: Any = authlib.integrations.httpx_client.AsyncOAuth2Client
        self._claims_class: Any = authlib.oidc.core.CodeIDToken
        self._jose_error: Any = joserfc.errors.JoseError
        self._jwk: Any = joserfc.jwk
        self._jwt: Any = joserfc.jwt
        self.settings = settings
        self._metadata: dict[str, Any] | None = None
        self._metadata_at = 0.0
        self._keys: Any = None
        self._keys_at = 0.0

    def __repr__(self) -> str:
        return f"<OidcLogin {self.settings.issuer}>"

    async def begin(self, redirect_uri: str) -> tuple[str, dict[str, Any]]:
        """The address to send a browser to, and what has to be known when it comes back.

        Raises ``LoginRefused`` (providerFailed).
        """
        verifier, nonce = secrets.token_urlsafe(48), secrets.token_urlsafe(24)
        async with self._client(redirect_uri) as client:
            try:
                metadata = await self._provider(client)
                url, state = client.create_authorization_url(
                    metadata["authorization_endpoint"], code_verifier=verifier, nonce=nonce
                )
            except Exception as error:
                raise self._failed("cannot be asked", error) from None
        return url, {"state": state, "nonce": nonce, "verifier": verifier, "redirect": redirect_uri}

    async def finish(self, pending: Mapping[str, Any], query: Mapping[str, str]) -> str:
        """The name of who comes back. ``query``: of the callback.

        Raises ``LoginRefused``: badLogin for a callback that does not belong to ``pending``, or a refusal of
        the provider, providerFailed for an invalid answer.
        """
        if not hmac.compare_digest(query.get("state", "").encode(), str(pending.get("state")).encode()):
            raise self._refused("the state is wrong")
        # RFC 9207: which provider has sent the browser back.
        if query.get("iss", self.settings.issuer) != self.settings.issuer:
            raise self._refused("another provider has answered")
        if "error" in query or not query.get("code"):
            raise self._refused(f"the provider says {query.get('error', 'nothing')!r:.100}")
        async with self._client(pending["redirect"]) as client:
            try:
                metadata = await self._provider(client)
                token = await client.fetch_token(
                    metadata["token_endpoint"],
                    grant_type="authorization_code",
                    code=query["code"],
                    code_verifier=pending["verifier"],
                )
                claims = await self._verified(client, metadata, token, pending["nonce"])
                user = await self._user(client, metadata, claims)
            except Exception as error:
                raise self._failed("gives no valid answer", error) from None
        return user

    def _client(self, redirect_uri: str) -> Any:
        settings = self.settings
        return self._client_class(
            settings.client_id,
            settings.client_secret,
            token_endpoint_auth_method="none" if settings.client_secret is None else None,
            scope=" ".join(settings.scopes),
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
            timeout=TIMEOUT,
        )

    async def _get(self, client: Any, url: str, *, withhold_token: bool = True) -> dict[str, Any]:
        answer = await client.request("GET", url, withhold_token=withhold_token)
        answer.raise_for_status()
        if len(answer.content) > MAX_ANSWER:
            raise ValueError(f"{url}: an answer of more than {MAX_ANSWER} bytes")
        found = answer.json()
        if not isinstance(found, dict):
            raise TypeError(f"{url}: not a JSON object")
        return found

    async def _provider(self, client: Any) -> dict[str, Any]:
        """The provider's addresses."""
        if self._metadata is not None and time.monotonic() - self._metadata_at < METADATA_TTL:
            return self._metadata
        issuer = self.settings.issuer
        found = await self._get(client, issuer.rstrip("/") + "/.well-known/openid-configuration")
        if found.get("issuer") != issuer:
            raise ValueError(f"it calls itself {found.get('issuer')!r:.200}")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            parts = urlsplit(str(found.get(name)))
            if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
                raise ValueError(f"its {name} is not an https:// URL")
        self._metadata, self._metadata_at = found, time.monotonic()
        return found

    async def _verified(
        self, client: Any, metadata: Mapping[str, Any], token: Mapping[str, Any], nonce: str
    ) -> Mapping[str, Any]:
        """The claims of the ID token, all checked."""
        offered = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
        allowed = [name for name in ALGORITHMS if name in offered]
        if self._keys is None:
            await self._fetch_keys(client, metadata)
        try:
            decoded = self._jwt.decode(token["id_token"], self._keys, algorithms=allowed)
        except (self._jose_error, ValueError):
            # The key is new, or the token is forged.
            if time.monotonic() - self._keys_at < KEYS_AGAIN:
                raise
            await self._fetch_keys(client, metadata)
            decoded = self._jwt.decode(token["id_token"], self._keys, algorithms=allowed)
        claims = self._claims_class(
            decoded.claims,
            decoded.header,
            options={
                "iss": {"essential": True, "value": self.settings.issuer},
                "aud": {"essential": True, "value": self.settings.client_id},
                "exp": {"essential": True},
                "nonce": {"essential": True, "value": nonce},
            },
            params={
                "nonce": nonce,
                "client_id": self.settings.client_id,
                "access_token": token.get("access_token"),
            },
        )
        claims.validate(leeway=LEEWAY)
        return dict(claims)

    async def _fetch_keys(self, client: Any, metadata: Mapping[str, Any]) -> None:
        self._keys_at = time.monotonic()
        self._keys = self._jwk.KeySet.import_key_set(await self._get(client, metadata["jwks_uri"]))

    async def _user(self, client: Any, metadata: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
        """The user's name: in the ID token, or else in the user info."""
        name = self.settings.user_claim
        found = claims
        if name not in claims and metadata.get("userinfo_endpoint"):
            found = await self._get(client, metadata["userinfo_endpoint"], withhold_token=False)
            if found.get("sub") != claims["sub"]:
                raise ValueError("the user info is about somebody else")
        if name == "email" and found.get("email_verified") is not True:
            raise ValueError("the address is not verified")
        user = found.get(name)
        if not isinstance(user, str) or not user:
            raise ValueError(f"there is no claim {name}")
        return user

    def _failed(self, what: str, error: Exception) -> LoginRefused:
        logger.warning("logins: %s %s: %s", self.settings.issuer, what, _text(error))
        return LoginRefused("providerFailed")

    def _refused(self, why: str) -> LoginRefused:
        logger.info("logins: refused a callback from %s: %s", self.settings.issuer, why)
        return LoginRefused("badLogin")


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]
