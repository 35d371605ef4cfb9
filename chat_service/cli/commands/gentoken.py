"""``chat-service gentoken``: a JSON Web Token for a user, for tests and scripts."""

import json
import time
from pathlib import Path
from typing import Any, Final

import click

from chat_service.cli import output
from chat_service.cli.failures import CliError, ExitCode
from chat_service.cli.login_settings import LoginSettings
from chat_service.cli.parameters import json_option, subcommand, text
from chat_service.errors import ConfigurationError

#: Claims that have options of their own.
_OWN: Final = frozenset({"exp", "iat"})


@subcommand(
    "gentoken",
    """
    chat-service gentoken --config chat.toml alice
    chat-service gentoken --config chat.toml --expires 60 --claim role=editor alice
    chat-service gentoken --config chat.toml --key-file private.pem --key-id new alice
    CHAT_LOGIN_SECRET=$(cat secret) chat-service gentoken alice
    """,
)
@click.argument("user", type=text)
@click.option(
    "--config",
    envvar="CHAT_CONFIG",
    show_envvar=True,
    type=click.Path(dir_okay=False),
    help="The TOML file of serve: the token is made for its [login].",
)
@click.option(
    "--expires",
    type=click.FloatRange(min=0, min_open=True),
    default=3600.0,
    show_default=True,
    metavar="SECONDS",
    help="Time until the token expires.",
)
@click.option(
    "--key-file",
    type=click.Path(dir_okay=False),
    help="PEM file of the private key, if [login] has a public key.",
)
@click.option("--key-id", metavar="TEXT", help="The kid of the key in a JWK set.")
@click.option("--algorithm", metavar="NAME", help="Algorithm of the signature.  [default: the file's first]")
@click.option(
    "--claim",
    "claims",
    multiple=True,
    metavar="NAME=VALUE",
    help="A further claim, JSON or text; may be repeated.",
)
@json_option
def command(
    user: str,
    config: str | None,
    expires: float,
    key_file: str | None,
    key_id: str | None,
    algorithm: str | None,
    claims: tuple[str, ...],
    as_json: bool,
) -> None:
    """Make a JSON Web Token that logs a user in.

    It is signed with the secret of [login], which CHAT_LOGIN_SECRET can set, too, or with --key-file, and
    has the audience and issuer that [login] requires. Anyone who has it is the user until it expires.
    """
    login = _login(config)
    expires_at = int(time.time() + expires)
    content = {**_claims(claims), login.user_claim: user, "iat": int(time.time()), "exp": expires_at}
    if login.audience is not None:
        content["aud"] = login.audience
    if login.issuer is not None:
        content["iss"] = login.issuer
    token = _signed(login, content, key_file, key_id, algorithm or login.algorithms[0])
    if as_json:
        output.print_json({"token": token, "user": user, "expiresAt": expires_at * 1000})
    else:
        output.write(token)


def _login(config: str | None) -> LoginSettings:
    import os

    from chat_service.cli.settings import Settings

    # Without a file and without a login in the environment, the secret alone tells enough.
    environment = {"CHAT_LOGIN__TYPE": "jwt", **os.environ} if config is None else os.environ
    settings = Settings.read(config, environment)
    login = settings.login
    if login is None or "jwt" not in login.kinds:
        kind = "no section [login]" if login is None else f'type = "{", ".join(login.kinds)}"'
        raise ConfigurationError(f'{settings.path}: tokens are for [login] with type = "jwt", not {kind}')
    return login


def _claims(given: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in given:
        name, separator, value = item.partition("=")
        if not separator or not name or name in _OWN:
            raise CliError(ExitCode.USAGE, f"--claim: expected NAME=VALUE, not exp or iat, got {item}")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def _signed(
    login: LoginSettings, content: dict[str, Any], key_file: str | None, key_id: str | None, algorithm: str
) -> str:
    try:
        import jwt
    except ImportError:
        raise ConfigurationError("[login] jwt needs PyJWT: pip install '.[jwt]'") from None
    from chat_service.jwt_login import check_secret

    key = login.secret
    if key_file is not None:
        try:
            key = Path(key_file).read_text("utf-8")
        except (OSError, ValueError) as error:
            raise CliError(ExitCode.CONFIGURATION, f"--key-file {key_file}: {error}") from None
    elif key is None:
        raise CliError(
            ExitCode.USAGE, "[login] has a public key, which cannot sign: add --key-file with the private one"
        )
    else:
        check_secret(key, [algorithm])
    if algorithm not in login.algorithms:
        raise CliError(ExitCode.USAGE, f"--algorithm: [login] accepts {', '.join(login.algorithms)}")
    try:
        return jwt.encode(content, key, algorithm, headers=None if key_id is None else {"kid": key_id})
    except (jwt.PyJWTError, NotImplementedError, ValueError, TypeError) as error:
        raise CliError(ExitCode.CONFIGURATION, f"the key cannot sign with {algorithm}: {error}") from None
