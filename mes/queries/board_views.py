"""The floor as the board shows it: lines, stations, what runs, waits and fails, what needs somebody."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from mes.domain.calendar import Worked
from mes.domain.causes import Cause
from mes.domain.yields import Yield
from mes.queries.floor_events import FloorEvent
from mes.queries.queues import Queue
from mes.queries.troubles import Troubles


@dataclass(frozen=True, slots=True)
class AtWork:
    """The unit that a station began last and has not ended, and how many others it has open."""

    serial: str
    part: str
    step: str
    since: datetime
    others: int


@dataclass(frozen=True, slots=True)
class StationNow:
    """A station. `state` as it last said; `waiting`: units that wait for its kind on its line; `last`: its newest
    verdict.
    """

    name: str
    kind: str
    state: str
    since: datetime | None
    reason: str | None
    at_work: AtWork | None
    waiting: int
    last: str | None
    is_held: bool


@dataclass(frozen=True, slots=True)
class Hour:
    """First passes within an hour of the shift."""

    start: datetime
    first_pass: Yield


@dataclass(frozen=True, slots=True)
class LineNow:
    """A line; `name` is empty for stations that stand in none. `queues`: what waits for its kinds, most first."""

    name: str
    time_zone: str
    shift: Worked
    is_on: bool
    first_pass: Yield
    hours: Sequence[Hour]
    stations: Sequence[StationNow]
    queues: Sequence[tuple[Queue, int]]
    failing: Sequence[Cause]
    erring: Sequence[Cause]


@dataclass(frozen=True, slots=True)
class FloorNow:
    """Everything on the board. `units` by state; `entries_per_min`: by how much the journal grew of late."""

    at: datetime
    lines: Sequence[LineNow]
    units: Mapping[str, int]
    troubles: Troubles
    events: Sequence[FloorEvent]
    entries_per_min: float | None
    products: int
