"""Generates docs/reference/openapi.json: the OpenAPI document of the HTTP API, with the default options."""

import json

from chat_service.http_api.openapi import document


def openapi_text() -> str:
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"
