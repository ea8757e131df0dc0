"""How far one unit has come: its state and all that the next event needs to know of what was before.

A `Progress` is kept with the unit and grows with the route, not with the unit's past: attempts that ended are records
elsewhere. `to_plain` and `from_plain` turn it into values that JSON can hold and back.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from mes.domain.facts import Key
from mes.domain.route import Route


class State(StrEnum):
    """Where a unit is in its life."""

    RECEIVED = "received"
    CREATED = "created"
    IN_PROCESS = "in_process"
    NONCONFORMING = "nonconforming"
    COMPLETED = "completed"
    PACKED = "packed"
    SHIPPED = "shipped"
    SCRAPPED = "scrapped"


SENTENCES: Mapping[State, str] = {
    State.RECEIVED: "A bought part, on the floor as it came.",
    State.CREATED: "Made here: it exists, nothing was done to it yet.",
    State.IN_PROCESS: "Work has begun and something is still to be done.",
    State.NONCONFORMING: "A step failed and has not passed since.",
    State.COMPLETED: "Every step passed, every position is filled with an approved part, no nonconformance is open.",
    State.PACKED: "Completed and packed.",
    State.SHIPPED: "It left the floor.",
    State.SCRAPPED: "Someone with the right gave it up.",
}

_MADE_MOVES = frozenset({State.IN_PROCESS, State.NONCONFORMING, State.COMPLETED, State.SHIPPED, State.SCRAPPED})

MOVES: Mapping[State, frozenset[State]] = {
    State.RECEIVED: _MADE_MOVES | {State.PACKED},
    State.CREATED: _MADE_MOVES,
    State.IN_PROCESS: _MADE_MOVES - {State.IN_PROCESS},
    State.NONCONFORMING: _MADE_MOVES - {State.NONCONFORMING},
    State.COMPLETED: (_MADE_MOVES - {State.COMPLETED}) | {State.PACKED},
    State.PACKED: _MADE_MOVES - {State.COMPLETED},
    State.SHIPPED: frozenset(),
    State.SCRAPPED: frozenset({State.SHIPPED}),
}
"""What one event can do. A shipment that was decided stands whatever the state; nothing else leaves `scrapped`."""

WAITING, OPEN, PASSED, FAILED = "waiting", "open", "passed", "failed"
"""A step's status. `open`: an attempt is in progress; the others are what earlier attempts left."""


class Attempt(NamedTuple):
    """One attempt of one step, as recorded. `number` counts a step's attempts from 1.

    `counted`: it moved the route (passed or failed the step). `opened_by` identifies it as long as nothing older
    becomes known; `outcome` is None while it is open.
    """

    step: str
    number: int
    station: str
    run: str | None
    run_id: str | None
    started_at: datetime
    ended_at: datetime | None
    claim: str | None
    outcome: str | None
    counted: bool
    deviations: tuple[str, ...]
    opened_by: Key
    closed_by: Key | None = None


@dataclass(slots=True)
class StepProgress:
    """One step: what its attempts left (waiting, passed, failed), how many there were, how many failed this cycle.

    `undone_at`: when a part was last taken out that this step had tested; an attempt that began earlier proves
    nothing about the unit as it is now.
    """

    result: str = WAITING
    attempts: int = 0
    failed: int = 0
    undone_at: datetime | None = None


@dataclass(slots=True)
class OpenAttempt:
    """An attempt that may still end: in progress, or interrupted but with a run name by which its end may come."""

    step: str
    number: int
    station: str
    run: str | None
    started_at: datetime
    opened_by: Key
    deviations: tuple[str, ...] = ()
    has_operator: bool = False
    interrupted: bool = False


class Failing(NamedTuple):
    """A run that has failed while it is on: the channel that broke its limit. `run` is None where nobody named it."""

    station: str
    step: str
    run: str | None
    channel: str


@dataclass(slots=True)
class Progress:
    """A unit's state and what the next event needs.

    `positions` says what is in the positions of its definition, `unfit` which of them hold something that is not
    approved or not enough; `ended_runs` the outcome of each attempt that had a run name, by station/run; `grants`
    until when a step may start, by step/station; `nonconformances` those not settled, with their step ("" if none).
    `failing` are runs in which a watched limit was broken and whose end did not come yet.
    """

    state: State
    last_key: Key | None = None
    steps: dict[str, StepProgress] = field(default_factory=dict)
    open: list[OpenAttempt] = field(default_factory=list)
    ended_runs: dict[str, str] = field(default_factory=dict)
    positions: dict[str, str] = field(default_factory=dict)
    unfit: set[str] = field(default_factory=set)
    nonconformances: dict[str, str] = field(default_factory=dict)
    grants: dict[str, str] = field(default_factory=dict)
    failing: list[Failing] = field(default_factory=list)
    received_at: datetime | None = None
    packed_at: datetime | None = None
    packed_into: str | None = None
    shipped_at: datetime | None = None
    scrapped_at: datetime | None = None

    @classmethod
    def new(cls, route: Route) -> "Progress":
        """A unit to which nothing has happened."""
        is_made = route.definition is not None and route.definition.source == "made"
        return cls(State.CREATED if is_made else State.RECEIVED)

    @property
    def is_closed(self) -> bool:
        # Not a look-up in a set: a state's hash is worked out in Python, and this is asked several times of each fact.
        return self.state is State.SHIPPED or self.state is State.SCRAPPED

    @property
    def contents(self) -> list[str]:
        """Ids of all that is in its positions: units, and lots of which a position may hold several."""
        return [one for content in self.positions.values() for one in content.split("+")]

    def step(self, name: str) -> StepProgress:
        """A step's own progress, begun if there is none."""
        found = self.steps.get(name)
        if found is None:
            found = self.steps[name] = StepProgress()
        return found

    def result(self, name: str) -> str:
        """What a step's attempts left: waiting, passed or failed."""
        found = self.steps.get(name)
        return found.result if found else WAITING

    def status(self, name: str) -> str:
        """A step's status for people: open while an attempt is in progress, else what earlier attempts left."""
        return OPEN if any(self.in_progress(name)) else self.result(name)

    def in_progress(self, step: str) -> list[OpenAttempt]:
        """The step's attempts in progress, oldest first; at most one unless stations report without starting."""
        return [one for one in self.open if one.step == step and not one.interrupted] if self.open else []

    def filled(self, position: str) -> bool:
        """Whether a position holds all that is wanted there."""
        return position in self.positions and position not in self.unfit

    def to_plain(self) -> dict[str, Any]:
        """As JSON-able values; what is empty is left out. Nothing in it is shared with this object."""
        plain: dict[str, Any] = {"state": self.state.value}
        if self.last_key:
            plain["last"] = _plain_key(self.last_key)
        if self.steps:
            plain["steps"] = {name: _plain_step(step) for name, step in self.steps.items()}
        if self.open:
            plain["open"] = [_plain_open(one) for one in self.open]
        if self.failing:
            plain["failing"] = [list(one) for one in self.failing]
        if self.unfit:
            plain["unfit"] = sorted(self.unfit)
        for name in _TEXT_MAPS:
            if mapping := getattr(self, name):
                plain[name] = dict(mapping)
        for name in _TIMES:
            if at := getattr(self, name):
                plain[name] = at.isoformat()
        if self.packed_into:
            plain["packed_into"] = self.packed_into
        return plain

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "Progress":
        """The progress that `to_plain` gave these values for. The mapping is left as it is."""
        get = plain.get
        last = get("last")
        return cls(
            state=_STATES[plain["state"]],
            last_key=_key(last) if last else None,
            steps={name: _step(*values) for name, values in get("steps", _NOTHING).items()},
            open=[_open_attempt(*values) for values in get("open", ())],
            ended_runs=dict(get("ended_runs", _NOTHING)),
            positions=dict(get("positions", _NOTHING)),
            unfit=set(get("unfit", ())),
            nonconformances=dict(get("nonconformances", _NOTHING)),
            grants=dict(get("grants", _NOTHING)),
            failing=[Failing(*one) for one in get("failing", ())],
            received_at=_time(get("received_at")),
            packed_at=_time(get("packed_at")),
            packed_into=get("packed_into"),
            shipped_at=_time(get("shipped_at")),
            scrapped_at=_time(get("scrapped_at")),
        )


_NOTHING: Mapping[str, Any] = {}
_STATES = {state.value: state for state in State}
_TEXT_MAPS = ("ended_runs", "positions", "nonconformances", "grants")
_TIMES = ("received_at", "packed_at", "shipped_at", "scrapped_at")


def _time(plain: str | None) -> datetime | None:
    return datetime.fromisoformat(plain) if plain else None


def _plain_key(key: Key) -> list[Any]:
    return [key.at.isoformat(), key.rank, key.source, key.id]


def _key(plain: list[Any]) -> Key:
    return Key(datetime.fromisoformat(plain[0]), plain[1], plain[2], plain[3])


def _plain_step(step: StepProgress) -> list[Any]:
    plain: list[Any] = [step.result, step.attempts, step.failed]
    if step.undone_at:
        plain.append(step.undone_at.isoformat())
    return plain


def _step(result: str, attempts: int, failed: int, undone_at: str | None = None) -> StepProgress:
    return StepProgress(result, attempts, failed, _time(undone_at))


def _plain_open(one: OpenAttempt) -> list[Any]:
    return [
        one.step,
        one.number,
        one.station,
        one.run,
        one.started_at.isoformat(),
        _plain_key(one.opened_by),
        list(one.deviations),
        one.has_operator,
        one.interrupted,
    ]


def _open_attempt(
    step: str,
    number: int,
    station: str,
    run: str | None,
    started_at: str,
    opened_by: list[Any],
    deviations: list[str],
    has_operator: bool,
    interrupted: bool,
) -> OpenAttempt:
    begun = datetime.fromisoformat(started_at)
    return OpenAttempt(step, number, station, run, begun, _key(opened_by), tuple(deviations), has_operator, interrupted)
