"""Users that a command line names."""

import sys

from chat_service.protocol.names import check_name
from chat_service.types import UserName


def user_name(name: str) -> UserName:
    """The name of a user, who need not exist. Raises ``invalidName``; how long it may be, services say."""
    check_name(name, sys.maxsize)
    return UserName(name)
