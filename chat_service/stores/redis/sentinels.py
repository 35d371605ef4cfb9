"""Asking Sentinels for the master's address."""

from collections.abc import Callable, Sequence

from chat_service.errors import StoreError, StoreTimeoutError
from chat_service.stores.redis.link import Link, RedisReplyError
from chat_service.stores.redis.urls import Address


class Sentinels:
    """A connection to each Sentinel, opened on demand. The last one that knew the master is asked first.

    The only permission needed is for ``SENTINEL GET-MASTER-ADDR-BY-NAME``.
    """

    def __init__(
        self,
        addresses: Sequence[Address],
        service: str,
        open_link: Callable[[Address], Link],
    ) -> None:
        """``service``: the Sentinels' name of the master. ``open_link``: creates an unopened link."""
        self._links = {address: open_link(address) for address in addresses}
        self._service = service

    async def master(self) -> Address:
        """Raises ``StoreTimeoutError`` if no Sentinel knows the master, ``StoreError`` if all refuse."""
        reasons: list[StoreError] = []
        for address, link in list(self._links.items()):
            try:
                await link.open()
                answer = await link.submit("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._service)
                master = Address(answer[0].decode(), int(answer[1])) if answer else None
            except RedisReplyError as error:
                reasons.append(StoreError(f"Sentinel at {address} refused the question: {error}"))
                continue
            except StoreError as error:
                reasons.append(error)
                continue
            except Exception as error:
                # Not a Sentinel right now, but it may become one again.
                reasons.append(StoreTimeoutError(f"Sentinel at {address} returned no address: {error!r}"))
                continue
            if master is None:
                reasons.append(StoreTimeoutError(f"Sentinel at {address} knows no master of this name"))
                continue
            self._ask_first(address)
            return master
        asked = ", ".join(map(str, self._links))
        message = f"no Sentinel of {asked} knows a reachable master named {self._service}"
        may_recover = any(isinstance(reason, StoreTimeoutError) for reason in reasons)
        kind = StoreTimeoutError if may_recover else StoreError
        raise kind(f"{message}: " + "; ".join(map(str, reasons)))

    def _ask_first(self, address: Address) -> None:
        self._links = {address: self._links[address], **self._links}

    async def close(self) -> None:
        """Close every connection."""
        for link in self._links.values():
            await link.close()
