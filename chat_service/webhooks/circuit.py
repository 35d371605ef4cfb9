"""A circuit breaker, without I/O: leaves a dead back end alone, and tries it again after a while."""

from enum import Enum


class CircuitState(Enum):
    """Whether requests are made. Half open: one is on its way, to see whether the back end is back."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half open"


class Circuit:
    """Opens after ``failures`` in a row, for ``seconds``. Then one request decides how it goes on.

    Times are those of one clock in seconds. A ticket ties an outcome to the state in which its request began:
    outcomes of earlier states do not count.
    """

    def __init__(self, failures: int, seconds: float) -> None:
        self._limit = failures
        self._seconds = seconds
        self.state = CircuitState.CLOSED
        #: Changes with each state.
        self._ticket = 0
        #: Failures in a row.
        self._failures = 0
        self._open_until = 0.0

    def __repr__(self) -> str:
        return f"<Circuit {self.state.value}, {self._failures} failures>"

    def admit(self, now: float) -> int | None:
        """A ticket for a request, or None when there must not be one now."""
        if self.state is CircuitState.CLOSED:
            return self._ticket
        if self.state is CircuitState.OPEN and now >= self._open_until:
            self._become(CircuitState.HALF_OPEN)
            return self._ticket
        return None

    def wait(self, now: float) -> float | None:
        """Seconds until it is worth asking for a ticket; None: not before the running request has ended."""
        if self.state is CircuitState.HALF_OPEN:
            return None
        return max(0.0, self._open_until - now) if self.state is CircuitState.OPEN else 0.0

    def succeeded(self, ticket: int) -> bool:
        """The back end has answered. Returns whether that closes the circuit."""
        if ticket != self._ticket:
            return False
        self._failures = 0
        if self.state is CircuitState.CLOSED:
            return False
        self._become(CircuitState.CLOSED)
        return True

    def failed(self, ticket: int, now: float) -> bool:
        """The back end has not answered. Returns whether that opens the circuit, for the first time."""
        if ticket != self._ticket:
            return False
        self._failures += 1
        is_new = self.state is CircuitState.CLOSED
        if is_new and self._failures < self._limit:
            return False
        self._become(CircuitState.OPEN)
        self._open_until = now + self._seconds
        return is_new

    def abandoned(self, ticket: int) -> None:
        """Nobody waits for the request any longer, so it says nothing about the back end."""
        if ticket == self._ticket and self.state is CircuitState.HALF_OPEN:
            # The next one may try at once.
            self._become(CircuitState.OPEN)

    def _become(self, state: CircuitState) -> None:
        self.state = state
        self._ticket += 1
