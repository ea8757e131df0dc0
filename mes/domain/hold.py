"""Holds: work stops on a unit, a lot, a part number, a station or a work order until someone lets it go on.

A hold is placed once and released once; it holds in the half-open time from `since` to `until`. What happened while
it held is still recorded, with the deviation `on_hold`, but nothing held is packed or shipped.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

UNIT, LOT, PART, STATION, WORK_ORDER = "unit", "lot", "part", "station", "work_order"
SCOPES = (UNIT, LOT, PART, STATION, WORK_ORDER)


class State(StrEnum):
    """Where a hold is in its life."""

    PLACED = "placed"
    RELEASED = "released"


SENTENCES: Mapping[State, str] = {
    State.PLACED: "Work on what it names is stopped.",
    State.RELEASED: "Someone let the work go on; the hold stays on record.",
}

MOVES: Mapping[State, frozenset[State]] = {
    State.PLACED: frozenset({State.RELEASED}),
    State.RELEASED: frozenset(),
}


class Hold(NamedTuple):
    """A hold on everything that `key` names in `scope`: a unit or lot id, a part, a station or an order number.

    `shown` is what people call a held unit or lot; empty where it was not looked up.
    """

    id: str
    scope: str
    key: str
    reason: str
    since: datetime
    until: datetime | None = None
    shown: str = ""

    @property
    def called(self) -> str:
        """What is held, as people call it; empty where only its id is known."""
        return self.shown or ("" if self.scope in (UNIT, LOT) else self.key)

    @property
    def told(self) -> str:
        """What is held and why, in words: unit PB-0016 (suspect solder)."""
        scope, why = self.scope.replace("_", " "), self.reason.rstrip(".")
        return f"{scope} {self.called} ({why})" if self.called else f"the {scope} ({why})"

    @property
    def facts(self) -> dict[str, Any]:
        """What a reason tells of it."""
        named = {"key": self.called} if self.called else {}
        return {"id": self.id, "scope": self.scope, **named, "reason": self.reason}

    @property
    def state(self) -> State:
        return State.PLACED if self.until is None else State.RELEASED

    def holds_at(self, at: datetime) -> bool:
        """Whether it holds then; at the very time of its release it no longer does."""
        return self.since <= at and (self.until is None or at < self.until)


def concerning(
    holds: Iterable[Hold],
    *,
    unit: str | None = None,
    part: str | None = None,
    order: str | None = None,
    lots: Collection[str] = (),
) -> tuple[Hold, ...]:
    """The holds, of any time, that concern a unit; those on stations too, as it may come to any of them."""
    named = {UNIT: (unit,), PART: (part,), WORK_ORDER: (order,), LOT: lots}
    return tuple(hold for hold in holds if hold.scope == STATION or hold.key in named[hold.scope])


def in_force(holds: Iterable[Hold], at: datetime, station: str | None = None) -> tuple[Hold, ...]:
    """Of holds that concern a unit, those in force at a time for work at a station (None: no station's work)."""
    return tuple(hold for hold in holds if hold.holds_at(at) and (hold.scope != STATION or hold.key == station))


def matching(
    holds: Iterable[Hold],
    at: datetime,
    unit: str | None = None,
    part: str | None = None,
    order: str | None = None,
    lots: Collection[str] = (),
    station: str | None = None,
) -> tuple[Hold, ...]:
    """The holds in force at a time on a unit of a part and order that contains lots, at a station."""
    return in_force(concerning(holds, unit=unit, part=part, order=order, lots=lots), at, station)
