"""Metrics, health checks, logging and tracing for operators."""

from chat_service.operations.api import Operations
from chat_service.operations.health import Check, Readiness
from chat_service.operations.measuring import Metric
from chat_service.operations.metrics import METRICS

__all__ = [  # noqa: RUF022 - sorted as the root's
    "Check",
    "METRICS",
    "Metric",
    "Operations",
    "Readiness",
]
