"""The wire protocol as data: argument types, notifications, and the form of acks."""
