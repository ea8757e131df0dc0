"""What a run measured, judged, in columns: thousands of runs share what they measured and differ in the values only.

A row of it is built when someone asks for one. Building them all for every run would cost more than all the rest of
its judgement.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias, overload

from mes.domain.facts import PASS
from mes.domain.limits import Finding, JudgedMeasurement, Reported, Value


class Layout(NamedTuple):
    """What was measured and by which limits, without the values: an entry per measurement in each column."""

    names: tuple[str, ...]
    units: tuple[str | None, ...]
    lows: tuple[float | None, ...]
    highs: tuple[float | None, ...]
    positions: tuple[str | None, ...]


Equals: TypeAlias = str | float | bool | None


class Measured(Sequence[JudgedMeasurement]):
    """The judged measurements of one run in the order of its report."""

    __slots__ = ("equals", "layout", "reported", "values", "verdicts")

    def __init__(
        self,
        layout: Layout,
        values: Sequence[Value],
        verdicts: Sequence[str],
        reported: Sequence[Reported],
        equals: Sequence[Equals] = (),
    ) -> None:
        """`equals` is what each had to equal; nothing if there were limits only."""
        self.layout = layout
        self.values = values
        self.verdicts = verdicts
        self.reported = reported
        self.equals = equals

    @classmethod
    def of(cls, findings: Iterable[Finding]) -> "Measured":
        """Those of findings that were made one by one."""
        rows = [finding.judged for finding in findings]
        columns = list(zip(*(row[:-1] for row in rows), strict=True)) if rows else [()] * 8
        names, positions, values, units, lows, highs, equals, verdicts = columns
        layout = Layout(names, units, lows, highs, positions)
        return cls(layout, values, verdicts, [row.reported for row in rows], equals)

    def without_verdicts(self, verdict: str) -> "Measured":
        """The same, all with one verdict."""
        return Measured(self.layout, self.values, [verdict] * len(self), self.reported, self.equals)

    @property
    def all_passed(self) -> bool:
        """Whether each of them passed; so it is where there are none."""
        return self.verdicts.count(PASS) == len(self.verdicts)

    def __len__(self) -> int:
        return len(self.values)

    @overload
    def __getitem__(self, at: int) -> JudgedMeasurement: ...
    @overload
    def __getitem__(self, at: slice) -> list[JudgedMeasurement]: ...
    def __getitem__(self, at: int | slice) -> JudgedMeasurement | list[JudgedMeasurement]:
        if isinstance(at, slice):
            return [self[one] for one in range(*at.indices(len(self)))]
        names, units, lows, highs, positions = self.layout
        return JudgedMeasurement(
            names[at],
            positions[at],
            self.values[at],
            units[at],
            lows[at],
            highs[at],
            self.equals[at] if self.equals else None,
            self.verdicts[at],
            self.reported[at],
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Measured) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]
