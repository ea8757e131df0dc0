"""The values of a series in columns: a burn-in of days has millions of them.

A run can't hold that many. Of a series that is too long, those values are kept by which every limit comes out as by all
of them: the lowest and the highest of each stretch. Parts under names of their own (`temp#2`) would be judged by no
characteristic, for that has one name. All lines stay in their recording.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_KEPT_OF_STRETCH: Final = 3


class Series:
    """Values by their index, each with its moment, in the order of their lines."""

    __slots__ = ("_indices", "_moments", "_values")

    def __init__(self) -> None:
        self._values: list[Any] = []
        self._moments = array("q")  # µs since 1970
        self._indices: list[int] | None = None  # none while they are 0, 1, 2 …, as in nearly every series

    def add(self, index: int, value: Any, at: datetime) -> None:
        """Take in the value of the next line. Of several with one index the first counts."""
        if self._indices is None and index != len(self._values):
            self._indices = list(range(len(self._values)))
        if self._indices is not None:
            self._indices.append(index)
        self._values.append(value)
        self._moments.append((at - _EPOCH) // _MICROSECOND)

    def in_order(self) -> tuple[Sequence[Any], Sequence[int]]:
        """Values and moments (µs since 1970) in the order of their index, one for each."""
        indices = self._indices
        if indices is None:
            return self._values, self._moments
        order = sorted(range(len(indices)), key=indices.__getitem__)  # stable: of one index the first line comes first
        first = [next(same) for _, same in groupby(order, key=indices.__getitem__)]
        return [self._values[at] for at in first], array("q", [self._moments[at] for at in first])

    def __len__(self) -> int:
        """How many values there are."""
        return len(self._values) if self._indices is None else len(set(self._indices))


def offsets(moments: Sequence[int], kept: Iterable[int]) -> list[float]:
    """Seconds from the first moment to those at the kept places."""
    return [(moments[at] - moments[0]) / 1e6 for at in kept]


def telling(values: Sequence[Any], most: int) -> list[int]:
    """The places of at most `most` values (3 or more) by which every limit comes out as by all of them.

    Of each stretch these are the lowest and the highest number, and the first value that is no number.
    """
    if len(values) <= most:
        return list(range(len(values)))
    length = -(-len(values) // (most // _KEPT_OF_STRETCH))
    stretches = (range(first, min(first + length, len(values))) for first in range(0, len(values), length))
    return [at for stretch in stretches for at in sorted(set(_telling_of(stretch, values)))]


def _telling_of(stretch: range, values: Sequence[Any]) -> Iterator[int]:
    numbers = [at for at in stretch if type(values[at]) in (int, float)]
    if numbers:
        yield min(numbers, key=values.__getitem__)
        yield max(numbers, key=values.__getitem__)
    if len(numbers) < len(stretch):
        yield next(at for at in stretch if type(values[at]) not in (int, float))


def share(lengths: Iterable[int], total_max: int, each_max: int) -> int:
    """How many values each series may keep, so that all of them keep at most `total_max`: the long ones give way."""
    ordered, left = sorted(lengths), total_max
    for at, length in enumerate(ordered):
        each = left // (len(ordered) - at)
        if length > each:
            return max(_KEPT_OF_STRETCH, min(each, each_max))
        left -= length
    return each_max
