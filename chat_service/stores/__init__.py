"""Storage of users, rooms and instances."""
