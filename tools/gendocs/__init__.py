"""Generates docs/reference/*.md and docs/coverage.md from tables and docstrings."""
