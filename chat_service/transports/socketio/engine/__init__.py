"""Engine.IO 4: packets and sessions that decide without I/O, and the carriers that connect them to clients.

``framing``, ``session`` and ``opening`` are independent of the event loop. ``peer`` is one client with its
timers, ``polls`` handles polling while there is no WebSocket, and ``hub`` holds all clients. The other
modules move bytes: ``websocket`` and ``front`` on the event loop's transports, ``aiohttp_carrier`` and
``asgi_carrier`` inside other servers.
"""
