"""Telemetry as it ages: many short stretches of one channel become few long ones that hold exactly the same samples."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from math import isfinite
from typing import Any, NamedTuple

SAMPLES_MAX = 5_000
"""Most samples of one merged stretch: nearly seven hours at one every 5 s."""
JITTER = 0.01
"""How far, in periods, the next stretch may begin from where the last one ends and still continue it.

A station stamps its messages by its own clock: a difference of some milliseconds is no gap in what it measured.
"""


class Stretch(NamedTuple):
    """Consecutive samples of one channel. Either `period_s` or `offsets_s` (seconds after `start`) is set.

    `values` hold None for a gap.
    """

    start: datetime
    period_s: float | None
    offsets_s: Sequence[float] | None
    values: Sequence[float | None]

    @property
    def stop(self) -> datetime:
        """Time of the last sample."""
        if self.offsets_s is not None:
            return self.start + timedelta(seconds=self.offsets_s[-1])
        return self.start + timedelta(seconds=(self.period_s or 0.0) * (len(self.values) - 1))


class Extremes(NamedTuple):
    """What is known of a stretch without looking at its samples."""

    low: float
    high: float
    mean: float


def extremes(values: Sequence[Any]) -> Extremes | None:
    """Smallest, largest and mean of the samples that are no gap, finite as these are; None where all are gaps."""
    try:
        return Extremes(min(values), max(values), _mean(values))
    except TypeError:  # there are gaps
        known = [value for value in values if value is not None]
        return extremes(known) if known else None


def _mean(values: Sequence[float]) -> float:
    """The mean, also of values whose sum is more than a double holds."""
    mean = sum(values) / len(values)
    if isfinite(mean):
        return mean
    mean = sum(value / len(values) for value in values)  # by a last digit it may still be too large
    return min(max(mean, min(values)), max(values))


def merged(stretches: Iterable[Stretch]) -> Iterator[Stretch]:
    """The same samples in as few stretches as their times allow.

    A stretch with a period goes on in the next one if that begins a period after its last sample; what overlaps, has
    another period or comes after a pause stays apart. Times of samples given by offsets are kept to the microsecond.
    """
    waiting: list[Stretch] = []
    held = 0
    for one in sorted(stretches, key=lambda one: (one.start, one.stop)):
        if waiting and (held + len(one.values) > SAMPLES_MAX or not _continues(waiting[0], held, waiting[-1], one)):
            yield _joined(waiting)
            waiting, held = [], 0
        waiting.append(one)
        held += len(one.values)
    if waiting:
        yield _joined(waiting)


def _continues(first: Stretch, held: int, last: Stretch, one: Stretch) -> bool:
    """Whether `one` follows on `held` samples that began with `first` and ended with `last`."""
    if first.period_s is None or one.period_s is None:
        return first.period_s == one.period_s and last.stop < one.start
    if first.period_s != one.period_s:
        return False
    due = first.start + timedelta(seconds=first.period_s * held)
    return abs((one.start - due).total_seconds()) <= JITTER * first.period_s


def _joined(stretches: Sequence[Stretch]) -> Stretch:
    first = stretches[0]
    if len(stretches) == 1:
        return first
    values = [value for one in stretches for value in one.values]
    if first.period_s is not None:
        return Stretch(first.start, first.period_s, None, values)
    offsets = [
        round((one.start - first.start).total_seconds() + offset, 6)
        for one in stretches
        for offset in one.offsets_s or ()
    ]
    return Stretch(first.start, None, offsets, values)
