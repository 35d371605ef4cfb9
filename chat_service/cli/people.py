"""User names on the command line."""

import sys

from chat_service.protocol.names import check_name
from chat_service.types import UserName


def user_name(name: str) -> UserName:
    """The name of a user, who need not exist. Raises ``invalidName``. The services check the length."""
    check_name(name, sys.maxsize)
    return UserName(name)
