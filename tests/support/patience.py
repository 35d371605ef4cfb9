"""How long tests wait for anything that has to happen: with room for a slow and busy machine."""

#: Seconds.
PATIENCE = 60.0
