"""The webhooks of one service. They become part of its hooks, and open and close with it."""

import itertools

from chat_service.domain.context import Context
from chat_service.errors import ChatServiceError
from chat_service.types import SocketId
from chat_service.webhooks.back_end import BackEnd, Guard
from chat_service.webhooks.event_sender import EventSender
from chat_service.webhooks.questions import Questions
from chat_service.webhooks.webhook_options import HOOKS, WebhookOptions, check_policies, check_times


class Webhooks:
    """Connects a service to the back end in ``webhook_options``. Does nothing without an address.

    Raises ``ConfigurationError`` for options that are invalid or conflict with those of the service.
    """

    def __init__(self, context: Context) -> None:
        options = WebhookOptions.from_mapping(context.options.webhook_options)
        check_times(options, context.options)
        counters = context.counters.webhooks
        self._context = context
        self._options = options
        self._numbers = itertools.count(1)
        # Events use separate connections, so that they cannot delay hooks.
        self._back_end = BackEnd(options, counters, options.max_connections)
        self._event_back_end = BackEnd(options, counters, options.events_concurrency)
        self._events: EventSender | None = None
        self._ask(options)
        if options.events_url is not None:
            guard = Guard("events", options, counters)
            self._events = EventSender(options, self._event_back_end, guard, counters, self._make_id)
            context.hooks.witness = self._events.saw

    def _ask(self, options: WebhookOptions) -> None:
        hooks = self._context.hooks
        asked = [hook for hook in HOOKS if options.url_of(hook) is not None]
        guards = {hook: Guard(hook, options, self._context.counters.webhooks) for hook in asked}
        questions = Questions(
            options,
            self._back_end,
            guards,
            make_id=self._make_id,
            user_of=self._user_of,
            depth_limit=self._context.limits.message_depth,
        )
        if "connect" in asked:
            hooks.wrap("on_connect", questions.around_connect)
        if "refresh" in asked:
            hooks.wrap("on_refresh", questions.around_refresh)
        if "message" in asked:
            hooks.set_last_before("roomMessage", questions.before_message)

    def _make_id(self) -> str:
        """An id for a request or event, unique across all instances."""
        return f"{self._context.instance_id()}-{next(self._numbers)}"

    def _user_of(self, socket_id: str) -> str:
        session = self._context.sessions.get(SocketId(socket_id))
        if session is None or session.user is None:
            raise ChatServiceError("invalidSocket", socket_id)
        return session.user

    # Called by the service's lifecycle

    def open(self) -> None:
        """Prepare for requests. Raises ``ConfigurationError`` for a policy that needs a missing hook."""
        hooks = self._context.hooks
        check_policies(
            self._options,
            has_connect=hooks.has_own("on_connect"),
            has_refresh=hooks.has_own("on_refresh"),
        )
        if self._options.is_on:
            self._back_end.open()
            self._event_back_end.open()
        if self._events is not None:
            self._events.start(self._context.background)

    async def drain(self) -> None:
        """Deliver the waiting events, within the time that the options allow."""
        if self._events is not None:
            await self._events.drain(self._options.events_close_timeout)

    async def close(self) -> None:
        """Close all connections. Idempotent."""
        await self._back_end.close()
        await self._event_back_end.close()
