"""The wire contract as data: argument types, notifications, and how outcomes become acks."""
