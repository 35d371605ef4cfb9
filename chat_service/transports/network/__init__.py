"""Shared by all transports: connections, WebSockets, HTTP requests, who may connect, and channels.

``framing`` and ``opening`` are independent of the event loop. ``gate`` decides with ``origins``, ``hosts``
and ``proxies`` which requests are let in, ``admissions`` how many. ``lines`` describes a connection as
transports see it; ``buffered`` and ``websocket`` implement it on the event loop, ``asgi_carrier`` inside ASGI
servers. ``front`` listens on a port of our own, and ``aiohttp_carrier`` takes connections over from aiohttp.
"""
