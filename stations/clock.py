"""How far a station's clock is ahead of the MES's, from the times that the MES's messages carry.

Each says when it was written; it arrives later, never earlier. So the smallest difference of the last ones is the best
estimate, and too great by as long as the quickest of them was on its way: milliseconds, unless the network is in
trouble.
"""

from collections import deque
from datetime import datetime
from typing import Final

from stations.alarms import Alarms

SKEW_MAX_S: Final = 5.0
"""A clock that is this far off misleads whoever reads the record: an alarm is given."""
REMEMBERED: Final = 20
ENOUGH: Final = 3
"""So many messages must agree before an alarm is given: one alone may just have been late."""


_UNITS: Final = (("years", 365.25 * 86_400), ("days", 86_400.0), ("h", 3600.0), ("min", 60.0))


def in_words(seconds: float) -> str:
    """A time as people say it, in the largest unit of which it has two or more: 7.0 s, 2.5 min, 56.9 years."""
    name, length_s = next((unit for unit in _UNITS if seconds >= 2 * unit[1]), ("s", 1.0))
    return f"{seconds / length_s:.1f} {name}"


class Clock:
    """What is known of our clock. Gives an alarm when it is off."""

    def __init__(self, alarms: Alarms) -> None:
        self._alarms = alarms
        self._ahead_s: deque[float] = deque(maxlen=REMEMBERED)

    def heard(self, written_at: datetime, arrived_at: datetime) -> None:
        """A message came: when the MES wrote it by its clock, and when it arrived by ours."""
        self._ahead_s.append((arrived_at - written_at).total_seconds())
        if self.is_off:
            ahead_s = self.ahead_s or 0.0
            how = f"{in_words(abs(ahead_s))} {'ahead of' if ahead_s > 0 else 'behind'} the MES's"
            self._alarms.give("clock_skew", f"This computer's clock is {how}; set it.")
        else:
            self._alarms.over("clock_skew")

    @property
    def ahead_s(self) -> float | None:
        """By how many seconds ours is ahead of the MES's (less than 0: behind); None while nothing was heard."""
        return min(self._ahead_s, default=None)

    @property
    def is_off(self) -> bool:
        """Whether it is off by more than `SKEW_MAX_S`, as far as is known."""
        return len(self._ahead_s) >= ENOUGH and abs(self.ahead_s or 0.0) > SKEW_MAX_S
