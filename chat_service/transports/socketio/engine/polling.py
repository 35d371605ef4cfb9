"""Long-polling: HTTP requests and answers, independent of the server."""

import asyncio
import zlib
from collections.abc import Awaitable
from typing import Protocol

from chat_service.http_ports import PACKED_TEXT, UNSUPPORTED, is_packed
from chat_service.transports.network.gate import Answer, Refusal, bad_request, refuse
from chat_service.transports.network.opening import Opening, split_list
from chat_service.transports.socketio.engine.hub import Hub, unknown_transport
from chat_service.transports.socketio.engine.peer import Peer
from chat_service.transports.socketio.engine.session import Kind, kind_of, read_payload, write_payload

#: Minimum size of compressed answers in bytes.
THRESHOLD = 1024
#: Size of a packet in bytes after which other clients have their turn.
LARGE_PACKET = 16 * 1024
_WINDOWS = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


class Exchange(Protocol):
    """One HTTP request, as provided by a carrier."""

    opening: Opening

    def is_there(self) -> bool:
        """Whether the client is still waiting for the answer."""
        ...

    async def read(self, most: int) -> bytes:
        """The body. Raises ``ValueError`` if it is larger, or incomplete."""
        ...

    def poll(self, work: Awaitable[list[str | bytes] | None]) -> Awaitable[list[str | bytes] | None]:
        """Wait for a poll, and end it if the client disconnects."""
        ...


async def answer(hub: Hub, exchange: Exchange) -> Answer:
    """Serve a request."""
    try:
        found = await _serve(hub, exchange)
    except Refusal as refusal:
        found = refuse(refusal)
    opening = exchange.opening
    if hub.compression and len(found.body) >= THRESHOLD:
        _compress(found, opening.headers.get("accept-encoding", ""))
    found.headers += hub.cors_headers(opening)
    return found


async def _serve(hub: Hub, exchange: Exchange) -> Answer:
    opening = exchange.opening
    if is_packed(opening.headers.get("content-encoding")):
        return Answer(UNSUPPORTED, PACKED_TEXT.encode(), ends_connection=True)
    hub.check_head(opening)
    if opening.method == "OPTIONS":
        hub.check_host(opening)
        hub.check_origin(opening)
        return Answer(200, b"ok")
    peer = hub.check(opening)
    if opening.query["transport"] != "polling":
        # It should be a WebSocket request but is not one.
        raise unknown_transport() if peer is not None else bad_request("Not a WebSocket handshake")
    if peer is None:
        peer = await hub.open(opening)
        return await _poll(peer, exchange)
    if opening.method == "GET":
        return await _poll(peer, exchange)
    if opening.method == "POST":
        return await _post(hub, peer, exchange)
    raise Refusal(405, "Method not allowed")


async def _poll(peer: Peer, exchange: Exchange) -> Answer:
    packets = await exchange.poll(peer.poll(exchange.is_there))
    if packets is None:
        raise bad_request()
    return Answer(200, write_payload(packets))


async def _post(hub: Hub, peer: Peer, exchange: Exchange) -> Answer:
    if peer.upgraded:
        raise bad_request("The session has a WebSocket")
    try:
        async with asyncio.timeout(hub.body_timeout):
            body = await exchange.read(hub.max_message_size)
    except TimeoutError:
        peer.fail("the body did not arrive in time")
        raise Refusal(408, "The body did not arrive in time", ends_connection=True) from None
    except ValueError as error:
        peer.fail(str(error))
        raise bad_request(str(error)) from None
    try:
        await _take_all(hub, peer, body)
    except ValueError as error:
        peer.fail(str(error))
    await peer.wait_ended()
    if peer.is_faulty:
        raise bad_request()
    return Answer(200, b"ok")


async def _take_all(hub: Hub, peer: Peer, body: bytes) -> None:
    """Handle the packets of a body in order. Raises ``ValueError`` for an invalid one."""
    left = hub.per_turn
    for packet in read_payload(body):
        if not left:
            # Let other clients have their turn.
            await asyncio.sleep(0)
            left = hub.per_turn
        left -= 1
        if peer.is_blocked and kind_of(packet) is Kind.MESSAGE:
            await peer.ready()
        peer.take(packet)
        if peer.is_faulty:
            return
        if len(packet) > LARGE_PACKET:
            left = 0
    # The answer also covers the outcome of the last packet.
    await peer.settled()


def _compress(found: Answer, accepted: str) -> None:
    for item in split_list(accepted.lower()):
        name, _, quality = item.partition(";")
        window = _WINDOWS.get(name.strip())
        if window is not None and quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000"):
            packer = zlib.compressobj(wbits=window)
            found.body = packer.compress(found.body) + packer.flush()
            found.headers += [("Content-Encoding", name.strip()), ("Vary", "Accept-Encoding")]
            return
