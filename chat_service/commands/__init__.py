"""The commands: their table, their handlers, and the code that runs them."""
