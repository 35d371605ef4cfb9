"""The commands: the table of all of them, their handlers, and how one is run."""
