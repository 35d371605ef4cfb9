"""Logins of the web chat under ``serve``: a password file, tokens, OpenID Connect; sessions in a cookie."""

from chat_service.web_login.login_sessions import Sessions
from chat_service.web_login.oidc import OidcLogin, OidcSettings
from chat_service.web_login.password_file import PasswordFile
from chat_service.web_login.web_login import WebLogin

__all__ = ["OidcLogin", "OidcSettings", "PasswordFile", "Sessions", "WebLogin"]
