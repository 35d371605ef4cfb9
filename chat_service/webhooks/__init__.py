"""Webhooks: a back end in any language decides over HTTP, and gets signed events."""
