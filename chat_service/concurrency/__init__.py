"""Running coroutines: eagerly, in order, in the background and with deadlines."""
