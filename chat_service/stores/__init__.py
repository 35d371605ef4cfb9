"""Where the state of users, rooms and instances lives."""
