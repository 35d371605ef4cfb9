"""The Redis store: a single server, Sentinel or a cluster, for any number of instances."""

from chat_service.stores.redis.redis_options import RedisOptions
from chat_service.stores.redis.redis_store import RedisStore

__all__ = ["RedisOptions", "RedisStore"]
