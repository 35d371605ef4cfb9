"""The HTTP API for other programs: one table of routes, served on the operations port or mounted."""
