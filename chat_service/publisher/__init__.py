"""Publishes messages from processes that serve no clients: workers, scripts and WSGI applications."""

from chat_service.publisher.async_publisher import AsyncPublisher
from chat_service.publisher.publication import Published, PublishTimeoutError
from chat_service.publisher.sync_publisher import Publisher

__all__ = ["AsyncPublisher", "PublishTimeoutError", "Published", "Publisher"]
