"""Engine.IO 4: sessions that decide without I/O, their clients, and the carriers of their requests.

``session`` is independent of the event loop. ``peer`` is one client with its timers, ``polls`` handles
polling while there is no WebSocket, and ``hub`` holds all clients. ``polling`` answers requests, ``carriers``
brings them from our own port, aiohttp or ASGI, and ``facade`` is the engine as python-socketio knows it.
The network below (``chat_service.transports.network``) moves the bytes.
"""
