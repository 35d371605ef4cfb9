"""Details of members: what the application and the users tell about joined sockets, and who may see it."""

import logging
from collections.abc import Sequence
from typing import Any

from chat_service.contracts.records import MemberStatus
from chat_service.domain.context import Context
from chat_service.errors import ChatServiceError, StoreError
from chat_service.hooks import Hook, call_hook
from chat_service.protocol.arguments import is_details
from chat_service.protocol.encoded import decode_text, encode_text
from chat_service.types import SocketId, UserName

logger = logging.getLogger("chat_service")


async def details_of_socket(context: Context, hook: Hook, user: UserName, socket_id: SocketId) -> str | None:
    """The details that the hook ``member_details`` gives a joining socket, as JSON. Errors are logged."""
    try:
        details = await call_hook(hook, context.service, user, socket_id, limit=context.hooks.timeout)
        if is_details(details, context.limits):
            return as_text(details)
        logger.error("the details of user %s are left out: member_details returned no JSON value", user)
    except ChatServiceError as error:
        logger.error("the details of user %s are left out: %s", user, error)
    except Exception:
        logger.exception("the details of user %s are left out: member_details failed", user)
    return None


def as_text(details: Any) -> str | None:
    """Details in the form that stores keep; None for none. ``details``: what ``is_details`` accepts."""
    text = None if details is None else encode_text(details)
    return None if text is None else text.decode()


def parse(text: str) -> Any:
    """Details from a store. Raises ``StoreError``."""
    try:
        return decode_text(text.encode())
    except ValueError as error:
        raise StoreError(f"corrupt details of a member: {error}") from None


async def shown(context: Context, details: Any) -> Any:
    """The part of details that clients may see; None for nothing."""
    return (await _all_shown(context, [details]))[0]


async def member_objects(
    context: Context, members: Sequence[MemberStatus], *, is_public: bool
) -> list[dict[str, Any]]:
    """Members as they are sent. ``is_public``: only with what clients may see of their details."""
    found = [None if member.details is None else parse(member.details) for member in members]
    if is_public:
        found = await _all_shown(context, found)
    return [member_object(member, details) for member, details in zip(members, found, strict=True)]


def member_object(member: MemberStatus, details: Any) -> dict[str, Any]:
    """A member by the names of the wire. ``details``: those that are shown; None for none."""
    plain = {"userName": member.user_name, "joinedAt": member.joined_at, "sockets": member.sockets}
    return plain if details is None else {**plain, "details": details}


async def _all_shown(context: Context, values: list[Any]) -> list[Any]:
    hook = context.hooks.get("public_member_details")
    if hook is None:
        return values
    found: list[Any] = []
    failures: list[Exception] = []
    for details in values:
        public = None
        if details is not None:
            try:
                public = await call_hook(hook, details, limit=context.hooks.timeout)
                if not is_details(public, context.limits):
                    raise TypeError(f"public_member_details returned {type(public).__name__}, no JSON value")
            except Exception as error:
                public = None
                failures.append(error)
        found.append(public)
    if failures:
        # Once for all members of an answer.
        logger.error("the details of %d members are hidden", len(failures), exc_info=failures[0])
    return found
