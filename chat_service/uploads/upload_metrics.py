"""Metrics of uploads."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector


@dataclass(slots=True)
class UploadCounters:
    """Counts uploads and downloads."""

    #: By the name of the outcome: "ok" or the code of an error.
    uploads: dict[str, int] = field(default_factory=dict)
    received_bytes: int = 0
    tickets: int = 0
    deleted_files: int = 0
    #: As of the last sweep.
    stored_files: int = 0
    stored_bytes: int = 0


class UploadCollector(Collector):
    """Reads the counters on request. ``running``, ``downloads``: the numbers of those that run now."""

    def __init__(
        self,
        counters: UploadCounters,
        running: Callable[[], int],
        downloads: Callable[[], int],
        sent: Callable[[], int],
    ) -> None:
        self._counters = counters
        self._running = running
        self._downloads = downloads
        self._sent = sent

    def collect(self) -> Iterator[Family]:
        """The current values."""
        counters = self._counters
        uploads = CounterMetricFamily("chat_uploads", "Uploads by outcome.", labels=["outcome"])
        for outcome, count in sorted(counters.uploads.items()):
            uploads.add_metric([outcome], count)
        yield uploads
        for name, text, count in (
            ("chat_upload_bytes", "Bytes of stored uploads.", counters.received_bytes),
            ("chat_upload_tickets", "Tickets for uploads.", counters.tickets),
            ("chat_upload_deleted_files", "Files deleted by this instance.", counters.deleted_files),
            ("chat_download_bytes", "Bytes of files sent to clients.", self._sent()),
        ):
            yield CounterMetricFamily(name, text, value=count)
        for name, text, count in (
            ("chat_uploads_running", "Uploads that run at the moment.", self._running()),
            ("chat_downloads_running", "Downloads that run at the moment.", self._downloads()),
            ("chat_upload_stored_files", "Stored files, as of the last sweep.", counters.stored_files),
            (
                "chat_upload_stored_bytes",
                "Bytes of stored files, as of the last sweep.",
                counters.stored_bytes,
            ),
        ):
            yield GaugeMetricFamily(name, text, value=count)
