"""Limits watched while a run is on: how long a channel of telemetry stays beyond what its characteristic allows.

A characteristic with `beyond_s` is watched on every channel of its name: `coolant_flow`, or `U12/GPU3/temperature`
where the path before the last stroke is the position. The channel breaks its limit when a sample still lies beyond it
`beyond_s` seconds after the first one did; 0 allows no sample at all. A sample within the limits ends an excursion, a
gap does not: a sensor that falls silent while it is too hot is not cured.

What one message shows are its excursions. Those of several messages are joined where one goes on where the other
ended, so that an excursion is as long as it was however telemetry is cut into messages and in whatever order it comes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from mes.domain.product import Characteristic
from mes.domain.telemetry import extremes

JOINED_WITHIN_PERIODS = 1.5
"""The first sample of a message follows on the last one of the message before it within so many periods."""


class Excursion(NamedTuple):
    """A channel beyond its limits, in one message. Plain values, for the journal holds them.

    `first` and `last` are the times, RFC 3339, of its first and last sample beyond them; `allowed_s` is how long it
    may be; `joined_s` how far apart two of them may be to be one; `value` the one that is furthest out.
    """

    channel: str
    first: str
    last: str
    allowed_s: float
    joined_s: float
    value: float
    low: float | None
    high: float | None


class Stay(NamedTuple):
    """How long a channel has been beyond its limits so far."""

    first: datetime
    last: datetime

    @property
    def lasted_s(self) -> float:
        return (self.last - self.first).total_seconds()

    def to_plain(self) -> str:
        return f"{self.first.isoformat()} {self.last.isoformat()}"

    @classmethod
    def from_plain(cls, plain: str) -> "Stay":
        first, _, last = plain.partition(" ")
        return cls(datetime.fromisoformat(first), datetime.fromisoformat(last))


def watched(characteristics: Iterable[Characteristic]) -> Callable[[str], Characteristic | None]:
    """What a channel is watched against, by the channel's name; None: nothing."""
    by_name: dict[str, dict[str | None, Characteristic]] = {}
    for one in characteristics:
        if one.beyond_s is not None:
            by_name.setdefault(one.name, {})[one.position] = one

    def of(channel: str) -> Characteristic | None:
        position, _, name = channel.rpartition("/")
        named = by_name.get(name)
        return (named.get(position or None) or named.get(None)) if named else None

    return of


def excursions(
    channels: Mapping[str, Sequence[float | None]],
    of: Callable[[str], Characteristic | None],
    start: datetime,
    offsets_s: Sequence[float],
) -> Iterator[Excursion]:
    """Every excursion in one message of samples; `offsets_s` says when each was taken, in seconds after `start`."""
    joined_s = JOINED_WITHIN_PERIODS * max((b - a for a, b in pairwise(offsets_s)), default=0.0)
    for channel, values in channels.items():
        by = of(channel)
        if by is None or by.beyond_s is None or _are_within(values, by):
            continue
        for first, last, value in _beyond(values, by):
            begun, ended = ((start + timedelta(seconds=offsets_s[index])).isoformat() for index in (first, last))
            yield Excursion(channel, begun, ended, by.beyond_s, joined_s or by.beyond_s, value, by.low, by.high)


def _are_within(values: Sequence[float | None], by: Characteristic) -> bool:
    """Whether no sample lies beyond the limits: seen at a glance, for that is how nearly all telemetry is."""
    seen = extremes(values)
    return not seen or ((by.low is None or seen.low >= by.low) and (by.high is None or seen.high <= by.high))


def _beyond(values: Sequence[float | None], by: Characteristic) -> Iterator[tuple[int, int, float]]:
    """Index of the first and last sample of each stay beyond the limits, and its value furthest out."""
    first: int | None = None
    last, worst, furthest = 0, 0.0, -1.0
    for index, value in enumerate(values):
        if value is None:
            continue
        out = max((by.low - value) if by.low is not None else 0.0, (value - by.high) if by.high is not None else 0.0)
        if out <= 0:
            if first is not None:
                yield first, last, worst
            first, furthest = None, -1.0
            continue
        first, last = (index if first is None else first), index
        if out > furthest:
            worst, furthest = value, out
    if first is not None:
        yield first, last, worst


def joined(before: Stay | None, one: Excursion) -> Stay:
    """The stay that an excursion is part of, knowing the channel's last one before it."""
    first, last = datetime.fromisoformat(one.first), datetime.fromisoformat(one.last)
    if before and first - before.last <= timedelta(seconds=one.joined_s):
        return Stay(before.first, max(last, before.last))
    return Stay(first, last)
