"""A provider of OpenID Connect on loopback, built on Authlib's server. It logs in who it is told to."""

import os
import secrets
import threading
import time
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import AuthorizationCodeMixin, ClientMixin, grants
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import UserInfo
from authlib.oidc.core.grants import OpenIDCode
from flask import Flask, Response, jsonify, request
from joserfc.jwk import KeySet, RSAKey
from werkzeug.serving import make_server

# Of Authlib's server: it refuses addresses without TLS, even on loopback.
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

CLIENT_ID, CLIENT_SECRET = "chat", "what the provider knows"


class Client(ClientMixin):
    """The only client. ``redirect_uris`` is filled by the tests."""

    redirect_uris: set[str]

    def __init__(self) -> None:
        self.redirect_uris = set()

    def get_client_id(self) -> str:
        return CLIENT_ID

    def get_default_redirect_uri(self) -> None:
        return None

    def get_allowed_scope(self, scope: str) -> str:
        return scope

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri in self.redirect_uris

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == CLIENT_SECRET

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method in ("client_secret_basic", "client_secret_post")

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "authorization_code"


class Code(AuthorizationCodeMixin):
    """A code, and what it was given out for."""

    def __init__(self, code: str, user: str, asked: Any) -> None:
        data = asked.payload.data
        self.code, self.user = code, user
        self.redirect_uri, self.scope = data.get("redirect_uri"), data.get("scope")
        self.nonce = data.get("nonce")
        self.code_challenge = data.get("code_challenge")
        self.code_challenge_method = data.get("code_challenge_method")

    def get_redirect_uri(self) -> Any:
        return self.redirect_uri

    def get_scope(self) -> Any:
        return self.scope

    def get_nonce(self) -> Any:
        return self.nonce

    def get_auth_time(self) -> int:
        return int(time.time())

    def get_acr(self) -> None:
        return None

    def get_amr(self) -> None:
        return None


class Provider:
    """Serves while the block runs. ``user``: who is logged in there; None: who refuses."""

    def __init__(self) -> None:
        self.user: str | None = "alice"
        self.claims: dict[str, Any] = {"preferred_username": "alice"}
        #: Claims of ID tokens that are to be wrong, and what requests have contained.
        self.wrong: dict[str, Any] = {}
        self.asked: list[dict[str, str]] = []
        self.client = Client()
        self.codes: dict[str, Code] = {}
        #: The key that signs, and those that are published.
        self.key = RSAKey.generate_key(2048, {"kid": "one"})
        self.published = [self.key]
        self.issuer = ""
        self._server = make_server("127.0.0.1", 0, self._app(), threaded=True)
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> "Provider":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Be gone. Idempotent."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def rotate_key(self, *, publish: bool = True) -> None:
        """Sign with a new key from now on."""
        self.key = RSAKey.generate_key(2048, {"kid": secrets.token_hex(4)})
        if publish:
            self.published = [self.key]

    def _app(self) -> Flask:
        provider = self
        app = Flask("provider")
        server = AuthorizationServer(
            app,
            query_client=lambda client_id: provider.client if client_id == CLIENT_ID else None,
            save_token=lambda token, asked: None,
        )

        class CodeGrant(grants.AuthorizationCodeGrant):
            TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]  # noqa: RUF012

            def save_authorization_code(self, code: str, asked: Any) -> None:
                provider.codes[code] = Code(code, asked.user, asked)

            def query_authorization_code(self, code: str, client: Any) -> Code | None:
                return provider.codes.get(code)

            def delete_authorization_code(self, authorization_code: Code) -> None:
                del provider.codes[authorization_code.code]

            def authenticate_user(self, authorization_code: Code) -> str:
                return authorization_code.user

        class IdToken(OpenIDCode):
            def exists_nonce(self, nonce: str, asked: Any) -> bool:
                return False

            def resolve_client_private_key(self, client: Any) -> Any:
                return provider.key

            def get_client_claims(self, client: Any) -> dict[str, Any]:
                return {"iss": provider.issuer, "aud": [CLIENT_ID]}

            def get_encode_header(self, client: Any) -> dict[str, Any]:
                return {"alg": "RS256", "kid": provider.key.kid}

            def generate_user_info(self, user: str, scope: str) -> UserInfo:
                return UserInfo(sub=f"id of {user}", **(provider.claims | provider.wrong))

        server.register_grant(CodeGrant, [CodeChallenge(required=True), IdToken(require_nonce=True)])

        @app.get("/.well-known/openid-configuration")
        def configuration() -> Response:
            return jsonify(
                issuer=provider.issuer,
                authorization_endpoint=f"{provider.issuer}/authorize",
                token_endpoint=f"{provider.issuer}/token",
                jwks_uri=f"{provider.issuer}/keys",
                id_token_signing_alg_values_supported=["RS256"],
            )

        @app.get("/keys")
        def keys() -> Response:
            return jsonify(KeySet(list(provider.published)).as_dict(private=False))

        @app.get("/authorize")
        def authorize() -> Any:
            provider.asked.append(dict(request.args))
            # As if the person had agreed, or not.
            grant = server.get_consent_grant(end_user=provider.user)
            return server.create_authorization_response(grant_user=provider.user, grant=grant)

        @app.post("/token")
        def token() -> Any:
            return server.create_token_response()

        return app
