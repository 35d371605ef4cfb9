"""``chat-service passwd``: the users of the password file."""

import sys

import click

from chat_service.cli import output
from chat_service.cli.failures import CliError, ExitCode
from chat_service.cli.parameters import subcommand, text
from chat_service.errors import ConfigurationError


@subcommand(
    "passwd",
    """
    chat-service passwd --config chat.toml alice              # asks for the password
    pass show chat/alice | chat-service passwd --file users.txt --stdin alice
    chat-service passwd --file users.txt --remove alice
    chat-service passwd --file users.txt --list
    """,
)
@click.argument("user", type=text, required=False)
@click.option(
    "--config",
    envvar="CHAT_CONFIG",
    show_envvar=True,
    type=click.Path(dir_okay=False),
    help="The TOML file of serve, whose users_file is changed.",
)
@click.option("--file", type=click.Path(dir_okay=False), help="The password file itself.")
@click.option("--stdin", "from_stdin", is_flag=True, help="Read the password from the standard input.")
@click.option("--remove", is_flag=True, help="Remove the user.")
@click.option("--list", "lists", is_flag=True, help="List the users.")
def command(
    user: str | None, config: str | None, file: str | None, from_stdin: bool, remove: bool, lists: bool
) -> None:
    """Add a user to the password file, change a password, or remove a user.

    Running services read the file again. Sessions of a user whose password has changed, or who was removed,
    end within session_ttl. The passwords are hashed with Argon2id.
    """
    from chat_service.web_login.password_file import PasswordFile

    users = PasswordFile(file or _users_file(config))
    if lists:
        for name in users.names():
            output.write(name)
    elif user is None:
        raise CliError(ExitCode.USAGE, "name a user, or add --list")
    elif remove:
        if not users.remove(user):
            raise CliError(ExitCode.NOT_FOUND, f"there is no user {user}")
        output.write(f"removed {user}")
    else:
        is_new = users.set_password(user, _password(from_stdin))
        output.write(f"added {user}" if is_new else f"changed the password of {user}")


def _users_file(config: str | None) -> str:
    from chat_service.cli.settings import Settings

    settings = Settings.read(config)
    if settings.login is None or settings.login.users_file is None:
        raise ConfigurationError(f"{settings.path}: [login] has no users_file; --file names one")
    return settings.login.users_file


def _password(from_stdin: bool) -> str:
    if not from_stdin:
        found: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return found
    found = sys.stdin.readline().rstrip("\r\n")
    if not found:
        raise CliError(ExitCode.USAGE, "--stdin: there is no password")
    return found
