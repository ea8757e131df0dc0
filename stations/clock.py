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


class Clock:
    """What is known of our clock. Gives an alarm when it is off."""

    def __init__(self, alarms: Alarms) -> None:
        self._alarms = alarms
        self._ahead_s: deque[float] = deque(maxlen=REMEMBERED)

    def heard(self, written_at: datetime, arrived_at: datetime) -> None:
        """A message came: when the MES wrote it by its clock, and when it arrived by ours."""
        self._ahead_s.append((arrived_at - written_at).total_seconds())
        if self.is_off:
            self._alarms.give("clock_skew", f"The clock is {self.ahead_s:.1f} s ahead of the MES's; set it.")
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
