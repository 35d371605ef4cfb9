"""Publish and subscribe of notifications between instances."""
