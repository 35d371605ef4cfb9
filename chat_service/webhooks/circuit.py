"""A circuit breaker, without I/O: it stops requests to a dead back end, and tries again after a while."""

from enum import Enum


class CircuitState(Enum):
    """Whether requests are made. While half open, a single request tests whether the back end has
    recovered.
    """

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half open"


class Circuit:
    """Opens for ``seconds`` after ``failures`` in a row. The outcome of one request then closes or reopens
    it.

    All times are seconds of the same clock. A ticket ties an outcome to the state in which its request began:
    outcomes that belong to an earlier state are ignored.
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
        """A ticket for a request, or None if no request may be made now."""
        if self.state is CircuitState.CLOSED:
            return self._ticket
        if self.state is CircuitState.OPEN and now >= self._open_until:
            self._become(CircuitState.HALF_OPEN)
            return self._ticket
        return None

    def wait(self, now: float) -> float | None:
        """Seconds until a ticket may be available, or None if the running request has to end first."""
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
        """The back end has not answered. Returns whether that opens a closed circuit."""
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
        """The request was cancelled, so it says nothing about the back end."""
        if ticket == self._ticket and self.state is CircuitState.HALF_OPEN:
            # The next request may be the test.
            self._become(CircuitState.OPEN)

    def _become(self, state: CircuitState) -> None:
        self.state = state
        self._ticket += 1
