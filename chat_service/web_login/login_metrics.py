"""Metrics of the logins of the page."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from chat_service.web_login.web_login import WebLogin


class LoginCollector(Collector):
    """Reads the counters of a ``WebLogin`` on request."""

    def __init__(self, login: WebLogin) -> None:
        self._login = login

    def collect(self) -> Iterator[Family]:
        """The current values."""
        logins = CounterMetricFamily(
            "chat_page_logins",
            "Logins on the page by kind (password, oidc, jwt) and outcome: ok, wrong, limited (too many "
            "attempts), failed (the provider).",
            labels=["kind", "outcome"],
        )
        for (kind, outcome), count in sorted(self._login.outcomes.items()):
            logins.add_metric([kind, outcome], count)
        yield logins
