"""What may be done to a unit at a station now: the step that is open there, those that may start, or why none may."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from mes.domain.facts import Station
from mes.domain.gates import reasons_against
from mes.domain.hold import Hold
from mes.domain.product import Definition
from mes.domain.progress import PASSED, OpenAttempt, Progress
from mes.domain.refusals import Reason, reason
from mes.domain.route import Route, route_of


class Work(NamedTuple):
    """A unit's work at one station. `open`: the attempt in progress there; `startable`: steps that may start.

    `reasons` say why nothing may start, where nothing is open and nothing may.
    """

    open: OpenAttempt | None
    startable: tuple[str, ...]
    reasons: tuple[Reason, ...]


def work_at(
    progress: Progress,
    definition: Definition | None,
    station: Station,
    at: datetime,
    holds: Sequence[Hold] = (),
    order_ended_at: datetime | None = None,
) -> Work:
    """What a unit's route has for a station at a time. `holds` are those that concern the unit, of any time."""
    route = route_of(definition)
    mine = [one for one in progress.open if one.station == station.name and not one.interrupted]
    if mine:
        return Work(mine[0], (), ())
    steps = [name for name, step in route.steps.items() if step.station_kind == station.kind]
    against = {name: reasons_against(progress, definition, name, station, at, holds, order_ended_at) for name in steps}
    startable = tuple(name for name in steps if not against[name])
    if startable:
        return Work(None, startable, ())
    return Work(None, (), _why_none(progress, route, station, against))


def _why_none(
    progress: Progress, route: Route, station: Station, against: dict[str, tuple[Reason, ...]]
) -> tuple[Reason, ...]:
    """Of the first step that is still to be done here; where there is none, where the unit goes on."""
    for name, reasons in against.items():
        if progress.result(name) != PASSED:
            return reasons
    if against:
        others = [why for why in next(iter(against.values())) if why.code != "already_passed"]
        return reason("already_passed", f"Every step that is done at {station.name} has passed."), *others
    if route.is_bought_as_is:
        return (reason("not_made_here"),)
    text = f"No step of its route is done at a {station.kind}."
    return (reason("wrong_station_kind", text, is_kind=station.kind),)


def next_steps(progress: Progress, definition: Definition | None) -> tuple[tuple[str, str], ...]:
    """The steps that come next, each with the kind of station that does it."""
    route = route_of(definition)
    passed = {name for name in route.steps if progress.result(name) == PASSED}
    return tuple((name, route.steps[name].station_kind) for name in route.next(passed))
