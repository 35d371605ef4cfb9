"""What ``chat-service check`` finds."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What came of a check. A warning does not keep a service from working."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The outcome of one check."""

    name: str
    verdict: Verdict
    detail: str
