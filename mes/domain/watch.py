"""Limits watched while a run is on: how long a channel of telemetry stays beyond what its characteristic allows.

A characteristic with `beyond_s` is watched on every channel of its name: `coolant_flow`, or `U12/GPU3/temperature`
where the path before the last stroke is the position. The channel breaks its limit when a sample still lies beyond it
`beyond_s` seconds after the first one did; 0 allows no sample at all. A sample within the limits ends an excursion, a
gap does not: a sensor that falls silent while it is too hot is not cured.

What one message shows of a channel are its excursions. Those of several messages are one stay where one goes on where
the other ended and no sample within the limits is known between them, so that a stay is as long as it was however
telemetry is cut into messages and in whatever order they come. Where messages are missing between two excursions they
are not joined: nobody knows what was there.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from mes.domain.product import Characteristic
from mes.domain.telemetry import extremes

NEIGHBOURS_WITHIN_PERIODS = 1.5
"""The first sample of a message follows on the last one of the message before it within so many periods."""
INNER_MAX = 10
"""Most excursions of a channel that are told of one message, beside those that touch its first and last sample."""


class Excursion(NamedTuple):
    """A stretch of one channel in one message without a sample within the limits. Plain values: the journal holds them.

    All times are seconds after the message's first sample. `first_s`, `last_s` are those of its first and last sample
    beyond the limits; null where all of it are gaps. `start_s` and `stop_s` are its ends, gaps included. `reach_from_s`
    and `reach_to_s` say how far it goes at most: up to a sample within the limits (`cooled_before`, `cooled_after`), or
    to where a sample of the neighbouring message is looked for. `allowed_s` is how long a channel may be beyond its
    limits, `value` the one that is furthest out.
    """

    channel: str
    first_s: float | None
    last_s: float | None
    start_s: float
    stop_s: float
    reach_from_s: float
    reach_to_s: float
    cooled_before: bool
    cooled_after: bool
    allowed_s: float
    value: float | None
    low: float | None
    high: float | None


class Stay(NamedTuple):
    """How long a channel was beyond its limits, by all excursions that are known to be one. Fields as in `Excursion`.

    `source` and `id` name the message in which it begins.
    """

    first: datetime | None
    last: datetime | None
    start: datetime
    stop: datetime
    reach_from: datetime
    reach_to: datetime
    cooled_before: bool
    cooled_after: bool
    allowed_s: float
    value: float | None
    low: float | None
    high: float | None
    source: str
    id: str

    @property
    def lasted_s(self) -> float:
        """Seconds from the first sample beyond the limits to the last one."""
        return (self.last - self.first).total_seconds() if self.first and self.last else 0.0

    @property
    def broke_at(self) -> datetime | None:
        """Since when the limit counts as broken; None: it does not."""
        if self.first is None or self.lasted_s < self.allowed_s:
            return None
        return self.first + timedelta(seconds=self.allowed_s)


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
    offsets_s: Sequence[float],
    period_s: float | None = None,
) -> Iterator[Excursion]:
    """The excursions in one message of samples that can matter; `offsets_s` says when each sample was taken.

    One that begins and ends within the message, and is no longer than it may be, can't. A message of one sample without
    a period says nothing of when the next one is due: it is joined only if a neighbour reaches to it.
    """
    for channel, values in channels.items():
        by = of(channel)
        if by is None or by.beyond_s is None or _are_within(values, by):
            continue
        inner = 0
        for first, last in _stretches(values, by):
            one = _excursion(channel, values, first, last, by, offsets_s, period_s)
            touches = not (one.cooled_before and one.cooled_after)
            if one.first_s is None or one.last_s is None:
                if not (one.cooled_before or one.cooled_after):
                    yield one  # all of the message: it may go on what came before
            elif touches or (one.last_s - one.first_s >= by.beyond_s and inner < INNER_MAX):
                inner += not touches
                yield one


def _are_within(values: Sequence[float | None], by: Characteristic) -> bool:
    """Whether all samples lie within the limits: seen at a glance, for that is how nearly all telemetry is."""
    seen = extremes(values)
    return bool(seen) and (by.low is None or seen.low >= by.low) and (by.high is None or seen.high <= by.high)  # type: ignore[union-attr]


def _stretches(values: Sequence[float | None], by: Characteristic) -> Iterator[tuple[int, int]]:
    """Index of the first and last sample of each stretch without one within the limits."""
    first: int | None = None
    for index, value in enumerate(values):
        if value is not None and _out_by(value, by.low, by.high) <= 0:
            if first is not None:
                yield first, index - 1
            first = None
        elif first is None:
            first = index
    if first is not None:
        yield first, len(values) - 1


def _excursion(
    channel: str,
    values: Sequence[float | None],
    first: int,
    last: int,
    by: Characteristic,
    offsets_s: Sequence[float],
    period_s: float | None,
) -> Excursion:
    """The excursion that the samples from `first` to `last` are."""
    known = [index for index in range(first, last + 1) if values[index] is not None]
    value = max((values[index] or 0.0 for index in known), key=lambda one: _out_by(one, by.low, by.high), default=None)
    cooled_before, cooled_after = first > 0, last < len(values) - 1
    return Excursion(
        channel,
        offsets_s[known[0]] if known else None,
        offsets_s[known[-1]] if known else None,
        offsets_s[first],
        offsets_s[last],
        offsets_s[first - 1] if cooled_before else offsets_s[0] - _until_neighbour_s(offsets_s[:2], period_s),
        offsets_s[last + 1] if cooled_after else offsets_s[-1] + _until_neighbour_s(offsets_s[-2:], period_s),
        cooled_before,
        cooled_after,
        by.beyond_s or 0.0,
        value,
        by.low,
        by.high,
    )


def _until_neighbour_s(edge: Sequence[float], period_s: float | None) -> float:
    """How far from the first or last sample of a message, of the two that are at its edge, the next one may be."""
    return NEIGHBOURS_WITHIN_PERIODS * (edge[-1] - edge[0] if period_s is None else period_s)


def _out_by(value: float, low: float | None, high: float | None) -> float:
    return max(low - value if low is not None else 0.0, value - high if high is not None else 0.0)


def stay_of(one: Excursion, start: datetime, source: str, id: str) -> Stay:
    """What an excursion comes to alone; its message began at `start`."""

    def at(seconds: float) -> datetime:
        return start + timedelta(seconds=seconds)

    return Stay(
        None if one.first_s is None else at(one.first_s),
        None if one.last_s is None else at(one.last_s),
        at(one.start_s),
        at(one.stop_s),
        at(one.reach_from_s),
        at(one.reach_to_s),
        one.cooled_before,
        one.cooled_after,
        one.allowed_s,
        one.value,
        one.low,
        one.high,
        source,
        id,
    )


def joined(stays: Iterable[Stay], one: Stay) -> tuple[list[Stay], Stay]:
    """The stays of a channel that a further one is joined with, and what they are together."""
    met = [stay for stay in stays if _are_one(stay, one)]
    for stay in met:
        one = _together(stay, one)
    return met, one


def _are_one(a: Stay, b: Stay) -> bool:
    if a.start <= b.stop and b.start <= a.stop:
        return True
    before, after = (a, b) if a.start < b.start else (b, a)
    if before.cooled_after and before.reach_to <= after.start:
        return False
    if after.cooled_before and after.reach_from >= before.stop:
        return False
    return before.reach_to >= after.start or after.reach_from <= before.stop


def _together(a: Stay, b: Stay) -> Stay:
    begins = min(a, b, key=lambda stay: (stay.start, stay.reach_from, stay.source, stay.id))
    ends = max(a, b, key=lambda stay: (stay.stop, stay.reach_to))
    firsts, lasts = [one.first for one in (a, b) if one.first], [one.last for one in (a, b) if one.last]
    values = [one.value for one in (a, b) if one.value is not None]
    return begins._replace(
        first=min(firsts, default=None),
        last=max(lasts, default=None),
        stop=ends.stop,
        reach_to=ends.reach_to,
        cooled_after=ends.cooled_after,
        value=max(values, key=lambda value: _out_by(value, a.low, a.high), default=None),
    )
