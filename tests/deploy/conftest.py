"""The Node process of the end-to-end tests."""

from tests.e2e.conftest import node_process

__all__ = ["node_process"]
