"""The time that a run on a cluster may take."""

from __future__ import annotations

import time


class Clock:
    """The time that a run may take.

    :param limit: [s], ``None`` for no limit.
    """

    def __init__(self, limit: float | None):
        self.limit = limit
        self.start = self.last = time.monotonic()
        self.longest = 0.0

    @property
    def elapsed(self) -> float:
        """Return the time since the start [s]."""
        return time.monotonic() - self.start

    def lap(self) -> None:
        """Note that a batch is finished."""
        now = time.monotonic()
        self.longest, self.last = max(self.longest, now - self.last), now

    def restart_lap(self) -> None:
        """Begin a batch now: what came before was none."""
        self.last, self.longest = time.monotonic(), 0.0

    def is_up(self) -> bool:
        """Whether another batch as long as the longest so far would not be finished in time."""
        return self.limit is not None and self.elapsed + self.longest > self.limit
