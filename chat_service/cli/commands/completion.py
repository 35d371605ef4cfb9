"""``chat-service completion``."""

import click

from chat_service.cli import output
from chat_service.cli.parameters import subcommand

#: Where each shell looks for a user's completions.
PLACES = {
    "bash": "~/.local/share/bash-completion/completions/chat-service",
    "zsh": "a file named _chat-service in a directory of $fpath",
    "fish": "~/.config/fish/completions/chat-service.fish",
}


@subcommand(
    "completion",
    """
    source <(chat-service completion bash)        # for this shell
    chat-service completion bash > ~/.local/share/bash-completion/completions/chat-service
    chat-service completion zsh > "${fpath[1]}/_chat-service"
    chat-service completion fish > ~/.config/fish/completions/chat-service.fish
    """,
)
@click.argument("shell", type=click.Choice(list(PLACES)))
def command(shell: str) -> None:
    """Print a script that completes commands, options and rooms in a shell.

    Room names are completed if CHAT_STORE_URL, CHAT_CONFIG or earlier options specify the services.
    """
    from click.shell_completion import get_completion_class

    from chat_service.cli.app import NAME, app

    kind = get_completion_class(shell)
    assert kind is not None, shell  # noqa: S101 - click knows all of them
    variable = "_" + NAME.replace("-", "_").upper() + "_COMPLETE"
    output.write(kind(app, {}, NAME, variable).source())
