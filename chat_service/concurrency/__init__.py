"""Running coroutines: at once, in order, in the background, and in time."""
