"""Webhooks: a back end in any language makes decisions over HTTP and receives signed events."""
