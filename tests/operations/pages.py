"""Reads the operations port like a monitoring system."""

import asyncio
import json
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from chat_service import ChatService


async def get(port: int | None, path: str, *, accept: str = "") -> tuple[int, str, str]:
    """Status, content type and text of a page."""
    headers = {"Accept": accept} if accept else {}
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}{path}", headers=headers) as answer,
    ):
        found = answer.status, answer.headers["Content-Type"], await answer.text()
    # The connector closes its sockets in a later turn.
    await asyncio.sleep(0)
    return found


async def get_json(port: int | None, path: str) -> tuple[int, dict[str, Any]]:
    """Status and data of a JSON page."""
    status, content_type, text = await get(port, path)
    assert content_type == "application/json"
    return status, json.loads(text)


async def scrape(port: int | None) -> dict[str, float]:
    """All samples of the metrics page by ``name{label="value"}``."""
    status, _, text = await get(port, "/metrics")
    assert status == 200
    return {
        sample.name
        + "".join(f"|{name}={value}" for name, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(service: ChatService, name: str, **labels: str) -> float | None:
    """A sample of a service's metrics, or None."""
    return service.operations.registry.get_sample_value(name, labels)
