"""Engine.IO 4: packets and sessions that decide without I/O, and the carriers that bring them to clients.

``framing``, ``session`` and ``opening`` know no event loop. ``peer`` is one client with its timers, ``polls``
is how it fetches what waits for it while it has no WebSocket, ``hub`` has all clients, and the rest moves
bytes: ``websocket`` and ``front`` over the event loop's own transports, ``aiohttp_carrier`` and
``asgi_carrier`` inside other servers.
"""
