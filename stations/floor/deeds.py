"""Deeds: what happens on a simulated floor, each at its time, by whom, and what it must come after."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple, TypeAlias

from msgspec import Struct

from mes.formats.messages import Child

Moment: TypeAlias = Callable[[float], datetime]
"""Turns the floor's seconds into moments."""


class Fact(NamedTuple):
    """A station says a fact; `make` writes it."""

    station: str
    make: Callable[[Moment], Struct]


class Away(NamedTuple):
    """A station loses its connection; what it does meanwhile it tells when it is `Back`."""

    station: str


class Back(NamedTuple):
    """A station is connected again."""

    station: str


class Question(NamedTuple):
    """A station asks whether a step may begin. `granted` is what the floor expects to hear."""

    station: str
    unit: str
    step: str
    parts: tuple[Child, ...] = ()
    granted: bool = True


class Stopped(NamedTuple):
    """A station hears from the MES that a run has failed while it is on, and should end."""

    station: str
    unit: str
    step: str
    run: str


class Ordered(NamedTuple):
    """The ERP orders units and releases the order."""

    number: str
    part: str
    revision: str
    serials: tuple[str, ...]
    customer_order: str


class Diagnosed(NamedTuple):
    """An engineer finds out why a unit failed a step, for the `nth` time."""

    unit: str
    step: str
    nth: int
    found: str
    by: str


class Repaired(NamedTuple):
    """A technician did something about it."""

    unit: str
    step: str
    nth: int
    done: str
    by: str


class Ruled(NamedTuple):
    """Quality decides what becomes of a unit that used up its attempts, or is not worth repairing."""

    unit: str
    step: str
    nth: int
    ruling: str
    why: str
    by: str


class Shipped(NamedTuple):
    """A unit leaves the floor."""

    unit: str
    order: str
    to: str
    by: str


What: TypeAlias = Fact | Away | Back | Question | Stopped | Ordered | Diagnosed | Repaired | Ruled | Shipped


class After(NamedTuple):
    """A deed waits until so many of another chain's are done."""

    chain: str
    deeds: int


class Deed(NamedTuple):
    """One thing that happens: `at` on the floor's clock, told at `told_at`, in the order of its `chain`.

    A chain is what happens to one unit, or in one office: its deeds are told one after another. `id` names it for ever.
    """

    at: float
    told_at: float
    chain: str
    id: str
    what: What
    after: tuple[After, ...] = ()


ORDERS: Final = "orders"
"""The chain of the ERP's orders: no unit's begins before the orders that were given until then."""


class Diary:
    """Collects the deeds of a floor as they happen."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.deeds: list[Deed] = []
        self.ends_at = 0.0
        self.counts: dict[str, int] = {}

    def note(
        self, at: float, chain: str, what: What, *, after: Sequence[After] = (), told_at: float | None = None
    ) -> None:
        """Something happens at a time. Deeds of a chain are noted in the order in which they are told."""
        number = self.counts.get(chain, 0) + 1
        told = at if told_at is None else told_at
        self.ends_at = max(self.ends_at, told)
        if number == 1 and chain != ORDERS:
            after = (*after, self.so_far(ORDERS))
        self.counts[chain] = number
        self.deeds.append(Deed(at, told, chain, f"{self._name}.{chain}.{number}", what, tuple(after)))

    def so_far(self, chain: str) -> After:
        """All that has happened in a chain until now."""
        return After(chain, self.counts.get(chain, 0))

    def take(self) -> list[Deed]:
        """What was noted since the last time."""
        taken, self.deeds = self.deeds, []
        return taken


class Pause(NamedTuple):
    """Real time that passes unnoticed at a time of the floor, in seconds: nobody was there."""

    at: float
    lasts_s: float


class Clock:
    """When the floor's seconds are, for real."""

    def __init__(self, began: datetime, pauses: Sequence[Pause] = ()) -> None:
        self.began = began
        self.pauses = tuple(pauses)

    def __call__(self, at: float) -> datetime:
        waited = sum(one.lasts_s for one in self.pauses if at > one.at)
        return self.began + timedelta(seconds=round(at + waited, 3))

    def at(self, moment: datetime) -> float:
        """The floor's time at a moment after all pauses."""
        return (moment - self.began).total_seconds() - sum(one.lasts_s for one in self.pauses)
