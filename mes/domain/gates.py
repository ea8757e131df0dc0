"""The gates of a unit: what speaks against starting a step, against counting its pass, against leaving the floor.

Each answers with every reason at once. The same reasons refuse a request and are noted, as deviations, on what
happened all the same.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from mes.domain.facts import Station
from mes.domain.hold import STATION, Hold, concerning, in_force
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
GRANT_VALID_S: Final = 300
"""How long a grant lets the step start, in seconds."""
_DONE: Final = frozenset({State.COMPLETED, State.PACKED, State.SHIPPED})
_BAD: Final = frozenset({State.NONCONFORMING, State.SCRAPPED})
_SHOWN_MAX: Final = 10
"""Most parts that a sentence names."""


class BuiltIn(NamedTuple):
    """Something that is in a unit, however deep: a unit, or material that is of one of `lots`.

    `position` leads to it from the unit: U12/GPU3. `is_made`: it was made here and has a route of its own to pass.
    """

    position: str
    part: str
    unit: str | None
    serial: str | None
    state: str | None
    is_made: bool
    order: str | None
    lots: Sequence[str]

    @property
    def called(self) -> str:
        """As people call it, and where it is."""
        return f"{self.serial} ({self.part}) in {self.position}" if self.serial else f"{self.part} in {self.position}"

    @property
    def facts(self) -> dict[str, str | None]:
        """What a reason tells of it."""
        return {"part": self.part, "serial": self.serial, "position": self.position, "state": self.state}


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


def is_fit(state: str | None, *, is_made: bool) -> bool:
    """Whether a part may stay where it is built in: one made here has passed its route, a bought one is not given up.

    Material has no state, and is fit.
    """
    if state is None:
        return True
    return state in _DONE if is_made else state not in _BAD


def reasons_against_contents(
    inside: Sequence[BuiltIn], definition: Definition | None, step: str, at: datetime, holds: Sequence[Hold]
) -> list[Reason]:
    """What speaks against starting a step because of what is in the unit: parts that are not fit, and held ones.

    A step relies on what the steps before it install: with a bad part there it may not start, as it may not with an
    empty position. The step that installs the part, and those before and beside it, may: there it is replaced. No rule
    keeps a part from being taken out, or from being tested again by its own route, in its place or on a bench.

    The step from which the unit is tested again (`retest_from`) is no exception where it comes behind: by then another
    part is there, or the same one has passed. With the bad one in place the test would prove nothing, and power might
    be put on a shelf that failed its withstand test. What no step installs is relied on from its `retest_from` on; if
    it has none, by every step.
    """
    route = route_of(definition)
    relied_on = [one for one in inside if _relies_on(route, step, one.position)]
    return [*_unfit(relied_on), *_held(relied_on, at, holds)]


def reasons_against_taking(inside: Sequence[BuiltIn], at: datetime, holds: Sequence[Hold]) -> list[Reason]:
    """What speaks against installing a unit because of what is in it: any part that is not fit, or held."""
    return [*_unfit(inside), *_held(inside, at, holds)]


def unfit_in_words(called: str, state: str, *, is_made: bool) -> str:
    """What is wrong with a part, as a sentence."""
    is_so = f"is {state.replace('_', ' ')}"
    return f"{called} has not passed its own route: it {is_so}." if is_made else f"{called} {is_so}."


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


def granted_elsewhere(
    progress: Progress, begun: Mapping[str, datetime], step: str, station: str, at: datetime
) -> list[Reason]:
    """Valid grants that other stations have for the step: two that begin together spoil each other's work.

    `begun` tells when an attempt last began, by step/station. A grant is for one start: once an attempt began there
    it is used up, and what was tried there may be tried again elsewhere. One that nobody uses ends by itself.
    """
    found: list[Reason] = []
    for name, until in progress.grants.items():
        granted, _, other = name.partition("/")
        ends = datetime.fromisoformat(until)
        given = ends - timedelta(seconds=GRANT_VALID_S)
        if granted != step or other == station or not given <= at < ends:
            continue
        if name in begun and begun[name] >= given.replace(microsecond=0):  # stations stamp whole seconds
            continue
        text = f"{step} was granted to {other} until {ends.astimezone(UTC):%H:%M:%S} UTC."
        found.append(reason("already_open", text, step=step, stations=[other], until=until))
    return found


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
    text = f"On hold: {'; '.join(hold.told for hold in found)}."
    return [reason("on_hold", text, holds=[hold.facts for hold in found])]


def _relies_on(route: Route, step: str, position: str) -> bool:
    """See `reasons_against_contents`; nothing is said of a step that the route does not have."""
    if step not in route.steps:
        return False
    top = position.partition("/")[0]
    if any(top in one.installs for one in route.steps.values()):
        return top in route.installs_before[step]
    first = route.retest_from.get(top)
    return first is None or step in route.onward[first]


def _unfit(inside: Sequence[BuiltIn]) -> Iterator[Reason]:
    found = [one for one in inside if not is_fit(one.state, is_made=one.is_made)]
    if found:
        said = [unfit_in_words(one.called, one.state or "", is_made=one.is_made) for one in found]
        yield reason("failed_part", some_of(said), parts=[one.facts for one in found])


def _held(inside: Sequence[BuiltIn], at: datetime, holds: Sequence[Hold]) -> Iterator[Reason]:
    """A hold on a station holds no part."""
    said: list[str] = []
    parts: list[dict[str, str | None]] = []
    held: dict[str, Hold] = {}
    ours = [hold for hold in in_force(holds, at) if hold.scope != STATION]
    for one in inside if ours else ():
        if found := concerning(ours, unit=one.unit, part=one.part, order=one.order, lots=one.lots):
            said.append(f"{one.called} is on hold: {'; '.join(hold.told for hold in found)}.")
            parts.append(one.facts)
            held |= {hold.id: hold for hold in found}
    if said:
        yield reason("on_hold", some_of(said), holds=[hold.facts for hold in held.values()], parts=parts)


def some_of(sentences: Sequence[str]) -> str:
    """The first of many sentences, and how many more there are."""
    more = len(sentences) - _SHOWN_MAX
    return " ".join(sentences[:_SHOWN_MAX]) + (f" And {more} more." if more > 0 else "")
