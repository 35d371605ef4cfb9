"""What operators need: metrics, health, logs, traces."""

from chat_service.operations.api import Operations
from chat_service.operations.health import Check, Readiness
from chat_service.operations.metrics import METRICS, Metric

__all__ = ["METRICS", "Check", "Metric", "Operations", "Readiness"]
