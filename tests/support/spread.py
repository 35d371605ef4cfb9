"""One service on one or more instances. Tests only say that their clients are at different places."""

from collections.abc import Awaitable, Callable

from chat_service import ChatService
from tests.support.world import Instance


class Spread:
    """``spread[0]``, ``spread[1]``, … are instances: different ones if there are enough of them."""

    def __init__(self, instances: list[Instance]) -> None:
        self.instances = instances

    def __getitem__(self, place: int) -> Instance:
        return self.instances[place % len(self.instances)]

    @property
    def service(self) -> ChatService:
        """The service at place 0."""
        return self[0].service


#: Starts the instances, all with the same options.
StartSpread = Callable[..., Awaitable[Spread]]
