"""Engine.IO 4: packets and sessions that decide without I/O, and the carriers that bring them to clients.

``payload``, ``framing``, ``deflate``, ``session`` and ``opening`` know no event loop. ``peer`` is one client
with its timers and its way out, ``hub`` has all of them, and the rest moves bytes: ``websocket`` and
``front`` over the event loop's own transports, ``aiohttp_carrier`` and ``asgi_carrier`` inside other servers.
"""
