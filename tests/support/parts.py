"""The parts of a service under test. Only this module knows where a service keeps them."""

from chat_service import ChatService
from chat_service.domain.context import Context


def parts_of(service: ChatService) -> Context:
    """The parts that a service is composed of."""
    return service._context
