"""One unit's life: the second layer of the fold.

A unit's progress is a function of the set of its own entries, of what happened in its positions and of the limits that
its telemetry broke, taken in the order of the floor. `apply` folds one event that is newer than all before onto a
progress; `fold_unit` folds the whole set, and applying it event by event gives the same. An event that is older makes
the unit be folded again.

Facts are never refused: what should not have happened is recorded with deviations, and the rules decide what it moves.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from mes.domain import attempts, live_limits
from mes.domain.as_built import PositionChanged
from mes.domain.facts import (
    Disposed,
    Entry,
    Key,
    PartReceived,
    RunInterrupted,
    RunReported,
    ShipmentDecided,
    StepAnswered,
    StepCompleted,
    StepStarted,
    UnitId,
    UnitPacked,
    UnitShipped,
    in_order,
)
from mes.domain.gates import reasons_against, reasons_against_leaving
from mes.domain.hold import Hold
from mes.domain.live_limits import LimitBroken
from mes.domain.nonconformance import (
    CONTRADICTION,
    DECIDED,
    REWORK,
    SCRAP,
    SCRAPPED,
    USED_AS_IS,
    Nonconformance,
    Settlement,
    id_from,
)
from mes.domain.product import Definition
from mes.domain.progress import MOVES, PASSED, SENTENCES, WAITING, Attempt, Progress, State
from mes.domain.refusals import Reason, reason
from mes.domain.route import route_of
from mes.domain.turn import Turn

__all__ = [
    "MOVES",
    "SENTENCES",
    "Attempt",
    "Outcome",
    "PositionChanged",
    "Progress",
    "State",
    "UnitHistory",
    "apply",
    "fold_unit",
    "is_late",
    "new_progress",
    "reasons_against",
    "reasons_against_leaving",
    "subject_of",
]

Event = Entry | PositionChanged | LimitBroken


class Outcome(NamedTuple):
    """What one event did to a unit: attempts as they are now, what was odd, the move, nonconformances.

    `asked` are starts, by their keys, of which it is known now that they were asked for.
    """

    attempts: Sequence[Attempt]
    deviations: Sequence[Reason]
    state_before: State
    state_after: State
    opened: Sequence[Nonconformance]
    closed: Sequence[Settlement]
    asked: Sequence[Key] = ()


class UnitHistory(NamedTuple):
    """All that a unit's events come to. Attempts in the order in which they were opened."""

    progress: Progress
    attempts: list[Attempt]
    deviations: dict[Key, tuple[Reason, ...]]
    nonconformances: dict[str, Nonconformance]


def new_progress(definition: Definition | None) -> Progress:
    """The progress of a unit to which nothing has happened."""
    return Progress.new(route_of(definition))


def subject_of(what: Any) -> UnitId | None:
    """The unit whose own progress an entry may move; None for installs and removals, which move positions."""
    return getattr(what, "unit", None)


def is_late(progress: Progress, event: Event) -> bool:
    """Whether the unit has to be folded again because something newer was folded before.

    Labels and telemetry move nothing by themselves: they are never late.
    """
    return progress.last_key is not None and event.key < progress.last_key and _matters(event)


def apply(
    progress: Progress,
    definition: Definition | None,
    event: Event,
    holds: Sequence[Hold] = (),
    order_closed_at: datetime | None = None,
) -> Outcome:
    """Fold one event onto `progress`, which is changed in place.

    `holds` are those that concern the unit, of any time (`hold.concerning`). Where `is_late` says so, fold the unit
    again instead.
    """
    turn = Turn(progress, route_of(definition), event.key, holds, order_closed_at)
    before = progress.state
    if isinstance(event, PositionChanged):
        _position_changed(turn, event)
    elif isinstance(event, LimitBroken):
        live_limits.broke(turn, event)
    elif rule := _RULES.get(type(event.what)):
        rule(turn, event.what)
    if _matters(event):
        attempts.reconsider(turn)
        progress.last_key = event.key
    return Outcome(turn.attempts, turn.deviations, before, progress.state, turn.opened, turn.settled, turn.asked)


def fold_unit(
    definition: Definition | None,
    entries: Iterable[Entry],
    others: Iterable[PositionChanged | LimitBroken] = (),
    holds: Sequence[Hold] = (),
    order_closed_at: datetime | None = None,
) -> UnitHistory:
    """What the set of a unit's events comes to, in whatever order and however often it is given."""
    history = UnitHistory(new_progress(definition), [], {}, {})
    attempts_by_key: dict[Key, Attempt] = {}
    events: list[Event] = sorted([*in_order(entries), *others], key=lambda event: event.key)
    for event in events:
        outcome = apply(history.progress, definition, event, holds, order_closed_at)
        note(outcome, event.key, attempts_by_key, history.nonconformances)
        if outcome.deviations:
            history.deviations[event.key] = tuple(outcome.deviations)
        forgive(history.deviations, outcome.asked)
    history.attempts.extend(attempts_by_key[key] for key in sorted(attempts_by_key))
    return history


def note(
    outcome: Outcome,
    key: Key,
    attempts_by_key: dict[Key, Attempt],
    nonconformances: dict[str, Nonconformance],
) -> None:
    """Keep what an outcome says about attempts (by the key that opened them) and nonconformances (by id)."""
    for attempt in outcome.attempts:
        attempts_by_key[attempt.opened_by] = attempt
    for opened in outcome.opened:
        nonconformances[opened.id] = opened
    for settled in outcome.closed:
        nonconformances[settled.id] = nonconformances[settled.id]._replace(closed_by=key, settled=settled.how)


def forgive(deviations: dict[Key, tuple[Reason, ...]], asked: Iterable[Key]) -> None:
    """Take back that starts were not asked for (`Outcome.asked`)."""
    for key in asked:
        if left := tuple(one for one in deviations.pop(key, ()) if one.code != attempts.NOT_ASKED):
            deviations[key] = left


def _matters(event: Event) -> bool:
    return not isinstance(event, Entry) or type(event.what) in _RULES


def _position_changed(turn: Turn, event: PositionChanged) -> None:
    progress = turn.progress
    if event.position not in turn.route.positions:
        return
    if event.content is None:
        progress.positions.pop(event.position, None)
    else:
        progress.positions[event.position] = event.content
    progress.unfit.discard(event.position)
    if event.content is not None and not event.fits:
        progress.unfit.add(event.position)
    if progress.is_closed:
        return
    if event.taken_out:
        _test_again(turn, event.position)
    turn.settle()


def _test_again(turn: Turn, position: str) -> None:
    """A part was taken out: the step from which the unit is tested again, and all after it, begin a new cycle."""
    first = turn.route.retest_from.get(position)
    for name in turn.route.onward.get(first or "", ()):
        step = turn.progress.step(name)
        step.result, step.failed = WAITING, 0
        # Swapping a part in the step that installs it is that step's work; every other attempt in progress is void.
        if position not in turn.route.steps[name].installs:
            step.undone_at = turn.key.at


def _received(turn: Turn, what: PartReceived) -> None:
    turn.progress.received_at = turn.progress.received_at or turn.key.at


def _answered(turn: Turn, what: StepAnswered) -> None:
    """The newest answer for a step and station holds: a refusal takes an earlier grant back."""
    name = f"{what.step}/{what.station.name}"
    turn.progress.grants.pop(name, None)
    if what.granted and what.valid_until:
        turn.progress.grants[name] = what.valid_until.isoformat()
        attempts.granted(turn, what)


def _disposed(turn: Turn, what: Disposed) -> None:
    progress = turn.progress
    step = progress.nonconformances.get(what.nonconformance)
    if step is None:
        turn.deviations.append(reason("not_nonconforming", nonconformance=what.nonconformance))
    if progress.is_closed:
        _dispose_of_the_past(turn, what)
    elif what.ruling == SCRAP:
        _scrap(turn)
    elif step is not None:
        _rule(turn, what, step)


def _rule(turn: Turn, what: Disposed, step: str) -> None:
    """Rework: the step may be tried again, and its pass closes the nonconformance. Use as is: it counts as passed."""
    if what.ruling == REWORK:
        turn.progress.step(step).failed = 0
        turn.progress.step(step).result = WAITING
    else:
        turn.progress.step(step).result = PASSED
        turn.close_nonconformance(what.nonconformance, USED_AS_IS)
    turn.settle()


def _scrap(turn: Turn) -> None:
    turn.progress.state = State.SCRAPPED
    turn.progress.scrapped_at = turn.key.at
    for one in list(turn.progress.nonconformances):
        turn.close_nonconformance(one, SCRAPPED)


def _dispose_of_the_past(turn: Turn, what: Disposed) -> None:
    """The unit is gone: whatever was ruled settles the nonconformance and moves nothing."""
    if what.nonconformance in turn.progress.nonconformances:
        turn.close_nonconformance(what.nonconformance, DECIDED)
    if what.ruling in (REWORK, SCRAP):
        turn.deviations.append(reason("unit_closed", state=turn.progress.state.value))


def _packed(turn: Turn, what: UnitPacked) -> None:
    if against := turn.against_leaving():
        turn.deviations.extend(against)
        return
    turn.progress.state = State.PACKED
    turn.progress.packed_at, turn.progress.packed_into = turn.key.at, what.into


def _shipped(turn: Turn, what: UnitShipped) -> None:
    if against := turn.against_leaving():
        turn.deviations.extend(against)
        return
    _ship(turn)


def _shipment_decided(turn: Turn, what: ShipmentDecided) -> None:
    """A decision stands. If what is known by now speaks against it, a person has to look at it."""
    if turn.progress.state is State.SHIPPED:
        return
    if against := turn.against_leaving():
        turn.deviations.extend(against)
        turn.open_nonconformance(Nonconformance(id_from(turn.key), CONTRADICTION, None, turn.key))
    _ship(turn)


def _ship(turn: Turn) -> None:
    turn.progress.state = State.SHIPPED
    turn.progress.shipped_at = turn.key.at


_RULES: Mapping[type, Callable[[Turn, Any], None]] = {
    PartReceived: _received,
    StepAnswered: _answered,
    StepStarted: attempts.started,
    StepCompleted: attempts.completed,
    RunReported: attempts.reported,
    RunInterrupted: attempts.interrupted,
    Disposed: _disposed,
    UnitPacked: _packed,
    UnitShipped: _shipped,
    ShipmentDecided: _shipment_decided,
}
