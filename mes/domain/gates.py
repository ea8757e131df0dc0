"""The gates of a unit: what speaks against starting a step, against counting its pass, against leaving the floor.

Each answers with every reason at once. The same reasons refuse a request and are noted, as deviations, on what
happened all the same.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

from mes.domain.facts import Station
from mes.domain.hold import Hold, in_force
from mes.domain.product import Definition, Step
from mes.domain.progress import FAILED, PASSED, OpenAttempt, Progress, State
from mes.domain.refusals import Reason, reason
from mes.domain.route import Route, route_of

BLOCKING = frozenset(
    {
        "wrong_step",
        "not_made_here",
        "wrong_station_kind",
        "predecessor_open",
        "attempts_used",
        "as_built_incomplete",
        "unit_closed",
        "too_early",
        "operator_missing",
        "part_taken_out",
        "conflicting_report",
        "characteristic_missing",
    }
)
"""With any of these a pass is recorded but does not pass the step. The other deviations are only noted."""


def reasons_against(
    progress: Progress,
    definition: Definition | None,
    step: str,
    station: Station,
    at: datetime,
    holds: Sequence[Hold] = (),
    order_closed_at: datetime | None = None,
) -> tuple[Reason, ...]:
    """All that speaks against starting a step at a station at a time; nothing if it may start.

    `holds` are those that concern the unit, of any time (`hold.concerning`).
    """
    found: list[Reason] = []
    if progress.is_closed:
        found.append(reason("unit_closed", state=progress.state.value))
    found += _against_step(progress, route_of(definition), step, station)
    found += _on_hold(holds, at, station.name)
    elsewhere = [one.station for one in progress.in_progress(step) if one.station != station.name]
    if elsewhere:
        found.append(reason("already_open", step=step, stations=elsewhere))
    if order_closed_at is not None and order_closed_at <= at:
        found.append(reason("work_order_closed", closed_at=order_closed_at.isoformat()))
    return tuple(found)


def reasons_against_leaving(
    progress: Progress, definition: Definition | None, at: datetime, holds: Sequence[Hold] = ()
) -> tuple[Reason, ...]:
    """All that speaks against packing or shipping the unit at a time; nothing if it may leave."""
    route, found = route_of(definition), list[Reason]()
    if progress.is_closed:
        found.append(reason("unit_closed", state=progress.state.value))
    steps = [name for name in route.steps if progress.result(name) != PASSED]
    if steps or progress.state is State.CREATED:
        found.append(reason("steps_open", steps=steps))
    if missing := unfilled(progress, sorted(route.positions)):
        found.append(reason("as_built_incomplete", positions=missing))
    if progress.nonconformances:
        found.append(reason("nonconformance_open", nonconformances=sorted(progress.nonconformances)))
    return (*found, *_on_hold(holds, at))


def reasons_against_building_in(progress: Progress, definition: Definition | None) -> tuple[Reason, ...]:
    """What speaks against installing the unit in another: one made here has to be finished, and none may be gone."""
    if progress.is_closed:
        return (reason("unit_closed", state=progress.state.value),)
    route = route_of(definition)
    if route.is_bought_as_is or is_complete(progress, route):
        return ()
    return (reason("failed_part", state=progress.state.value),)


def reasons_against_counting(progress: Progress, route: Route, attempt: OpenAttempt, duration_s: float) -> list[Reason]:
    """What an attempt's end, as a pass, adds to the reasons that were noted at its start."""
    step = route.steps.get(attempt.step)
    if step is None:
        return []
    found: list[Reason] = []
    if step.min_s is not None and duration_s < step.min_s:
        found.append(reason("too_early", step=step.step, min_s=step.min_s, took_s=duration_s))
    if missing := unfilled(progress, step.installs):
        found.append(reason("as_built_incomplete", positions=missing))
    if step.signed and not attempt.has_operator:
        found.append(reason("operator_missing", step=step.step))
    undone_at = progress.steps[step.step].undone_at
    if undone_at and attempt.started_at < undone_at:
        found.append(reason("part_taken_out", step=step.step, at=undone_at.isoformat()))
    return found


def not_asked(progress: Progress, step: str, station: Station, started_at: datetime) -> bool:
    """Whether no grant was valid when the attempt started."""
    until = progress.grants.get(f"{step}/{station.name}")
    return until is None or datetime.fromisoformat(until) < started_at


def open_before(progress: Progress, route: Route, step: str) -> list[str]:
    """The steps that must come before this one and have not passed."""
    return [name for name in route.before.get(step, ()) if progress.result(name) != PASSED]


def unfilled(progress: Progress, positions: Collection[str]) -> list[str]:
    """Which positions do not hold all that is wanted there."""
    return [position for position in positions if not progress.filled(position)] if positions else []


def is_complete(progress: Progress, route: Route) -> bool:
    """Whether every step passed, every position is filled and no nonconformance is open."""
    if progress.nonconformances:
        return False
    for name in route.steps:  # a loop, for this is asked after every fact
        if progress.result(name) != PASSED:
            return False
    return not unfilled(progress, route.positions)


def has_failed(progress: Progress, route: Route) -> bool:
    """Whether a step failed and has not passed since."""
    for name, step in progress.steps.items():  # noqa: SIM110 - a loop, for this is asked after every fact
        if step.result == FAILED and name in route.steps:
            return True
    return False


def _against_step(progress: Progress, route: Route, name: str, station: Station) -> list[Reason]:
    step = route.steps.get(name)
    if step is None:
        return [_no_such_step(route, name)]
    found: list[Reason] = []
    if step.station_kind != station.kind:
        found.append(reason("wrong_station_kind", step=name, wanted=step.station_kind, is_kind=station.kind))
    if earlier := open_before(progress, route, name):
        found.append(reason("predecessor_open", step=name, steps=earlier))
    if missing := unfilled(progress, route.installs_before[name]):
        found.append(reason("as_built_incomplete", positions=missing))
    if progress.result(name) == PASSED:
        found.append(reason("already_passed", step=name))
    if _attempts_used(progress, step):
        found.append(reason("attempts_used", step=name, attempts=step.attempts))
    return found


def _no_such_step(route: Route, name: str) -> Reason:
    if route.is_bought_as_is:
        return reason("not_made_here", step=name)
    return reason("wrong_step", step=name, steps=list(route.steps))


def _attempts_used(progress: Progress, step: Step) -> bool:
    done = progress.steps.get(step.step)
    return step.attempts is not None and done is not None and done.failed >= step.attempts


def _on_hold(holds: Sequence[Hold], at: datetime, station: str | None = None) -> list[Reason]:
    found = in_force(holds, at, station) if holds else ()
    if not found:
        return []
    return [reason("on_hold", holds=[{"id": hold.id, "scope": hold.scope, "reason": hold.reason} for hold in found])]
