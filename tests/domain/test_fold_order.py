"""The law of the floor: where units, parts, attempts and verdicts end depends on what is known, never on when it came.

Stories are built from a whole build of a rack with facts left out and disturbances put in: swaps, early removals, equal
times, a station an hour fast, fails and retests, golden runs, packs, shipments and decisions that should not be.
"""

from collections.abc import Iterable
from datetime import timedelta
from itertools import permutations, product
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mes.domain.as_built import changes_of
from mes.domain.assembly import Assembly
from mes.domain.facts import (
    ABORTED,
    ERROR,
    FAIL,
    GOLDEN,
    PASS,
    PRODUCTION,
    Disposed,
    Entry,
    MaterialLoaded,
    MaterialUnloaded,
    PartInstalled,
    PartReceived,
    PartRemoved,
    RunReported,
    SamplesTaken,
    ShipmentDecided,
    StepAnswered,
    StepCompleted,
    StepStarted,
    UnitPacked,
    UnitShipped,
    entry,
    in_order,
)
from mes.domain.floor import Floor, fold_floor
from mes.domain.gates import is_complete
from mes.domain.hold import STATION, UNIT, Hold
from mes.domain.nonconformance import RULINGS, id_from
from mes.domain.progress import MOVES, State
from mes.domain.route import route_of
from mes.domain.unit import apply, new_progress, subject_of
from mes.domain.watch import Excursion
from tests.domain.floor_stories import (
    BENCH,
    BOARD,
    RACK,
    TESTER,
    TESTER_2,
    TRAY,
    at,
    done,
    draw,
    grant,
    install,
    load,
    lot,
    packed,
    run,
    shipped,
    start,
    unload,
    unlot,
)
from tests.domain.incremental_floor import IncrementalFloor

DEFINITIONS = {"rack": RACK, "t1": TRAY, "t2": TRAY, "b1": BOARD, "b2": BOARD, "b3": None}

A_WHOLE_BUILD = [
    run(0, "flash", unit="b1"),
    start(1, "build"),
    install(1, "t1", "B1", "b1"),
    install(2, "t1", "B2", "b2"),
    lot(2, "t1", "SCREWS", "lot7", 3),
    load(2, "lot8"),
    draw(3, quantity=2),
    unlot(3, "t1", "SCREWS", "lot7", 1),
    done(3, "build"),
    grant(3, "test", TESTER),
    start(3, "test", TESTER, run="r1"),
    run(4, "test", run="r1"),
    done(5, "audit", operator="ann"),
    packed(6),
    install(7, "rack", "U1", "t1", "TRAY"),
    install(7, "rack", "U2", "t2", "TRAY"),
    done(7, "mount", unit="rack"),
    run(8, "soak", unit="rack"),
    packed(9, "rack"),
    shipped(9, "rack"),
]
FAILS = [one for one in A_WHOLE_BUILD if isinstance(one.what, RunReported)]
HOLDS = (
    Hold("h1", UNIT, "t1", "look at it", at(4), at(5)),
    Hold("h2", STATION, TESTER.name, "probe worn", at(3), at(4)),
)

UNITS = st.sampled_from(sorted(DEFINITIONS))
TREE = st.sampled_from([("rack", "U1"), ("rack", "U2"), ("t1", "B1"), ("t1", "B2"), ("t2", "B1"), ("t1", "NOWHERE")])
STATIONS = st.sampled_from([BENCH, TESTER, TESTER_2])
STEPS = st.sampled_from(["build", "test", "audit", "mount", "soak", "flash"])
RUNS = st.sampled_from([None, "r1", "r2"])
LOTS = st.sampled_from(["lot7", "lot8"])
QUANTITIES = st.sampled_from([None, 1, 3, 4])
PARTS = st.sampled_from(["BOARD", "TRAY", "JUNK"])
PARTS_OF_LOTS = st.sampled_from(["M3", "M3", "M3", "JUNK"])
OPERATORS = st.sampled_from([None, "ann"])


@st.composite
def runs_reported(draw: st.DrawFn) -> RunReported:
    ended = at(draw(st.integers(0, 9)))
    return RunReported(
        unit=draw(UNITS),
        step=draw(STEPS),
        station=draw(STATIONS),
        run_id=draw(st.uuids()).hex,
        started_at=ended - timedelta(seconds=draw(st.sampled_from([1, 30, 120]))),
        ended_at=ended,
        claim=PASS,
        verdict=draw(st.sampled_from([PASS, FAIL, FAIL, ERROR])),
        run=draw(RUNS),
        purpose=draw(st.sampled_from([PRODUCTION, PRODUCTION, GOLDEN])),
        operator=draw(OPERATORS),
    )


@st.composite
def excursions(draw: st.DrawFn) -> Excursion:
    """A channel that is too hot for some minutes, more or less than it may."""
    first = draw(st.integers(0, 9))
    last = first + draw(st.integers(0, 3))
    allowed_s, joined_s = draw(st.sampled_from([0.0, 60.0, 180.0])), draw(st.sampled_from([30.0, 60.0]))
    return Excursion("temperature", at(first).isoformat(), at(last).isoformat(), allowed_s, joined_s, 99.0, None, 85.0)


def installs_and_removals() -> st.SearchStrategy[Any]:
    serial = st.tuples(st.sampled_from([PartInstalled, PartRemoved]), TREE, UNITS, PARTS).map(
        lambda drawn: drawn[0](*drawn[1], child=drawn[2], lot=None, part=drawn[3])
    )
    material = st.tuples(st.sampled_from([PartInstalled, PartRemoved]), LOTS, QUANTITIES).map(
        lambda drawn: drawn[0]("t1", "SCREWS", child=None, lot=drawn[1], part="M3", quantity=drawn[2])
    )
    drawn = st.tuples(st.sampled_from([PartInstalled, PartInstalled, PartRemoved]), PARTS_OF_LOTS, QUANTITIES).map(
        lambda drawn: drawn[0]("t1", "SCREWS", child=None, lot=None, part=drawn[1], quantity=drawn[2])
    )
    return st.one_of(serial, serial, material, drawn)


def loads_and_unloads() -> st.SearchStrategy[Any]:
    """At the station of the build, and at those of the disturbances."""
    return st.builds(
        lambda kind, *told: kind(*told),
        st.sampled_from([MaterialLoaded, MaterialLoaded, MaterialUnloaded]),
        st.sampled_from(["x", "x", "ft-01", "fast"]),
        PARTS_OF_LOTS,
        LOTS,
        st.sampled_from([None, None, "Acme"]),
        st.sampled_from([None, None, "F1", "F2"]),
    )


def unit_events() -> st.SearchStrategy[Any]:
    nonconformances = st.sampled_from([id_from(one.key) for one in FAILS])
    return st.one_of(
        st.builds(StepStarted, UNITS, STEPS, STATIONS, RUNS),
        st.builds(StepCompleted, UNITS, STEPS, STATIONS, st.sampled_from([PASS, FAIL, ABORTED]), RUNS, OPERATORS),
        runs_reported(),
        st.builds(SamplesTaken, UNITS, STEPS, STATIONS, RUNS, st.none() | excursions().map(lambda one: (one,))),
        st.builds(StepAnswered, UNITS, STEPS, STATIONS, st.booleans(), st.integers(3, 9).map(at)),
        st.builds(UnitPacked, UNITS),
        st.builds(UnitShipped, UNITS),
        st.builds(ShipmentDecided, UNITS),
        st.builds(Disposed, UNITS, nonconformances, st.sampled_from(RULINGS)),
        st.builds(PartReceived, st.just("BOARD"), UNITS),
    )


@st.composite
def disturbances(draw: st.DrawFn) -> Entry:
    """A fact with a time of its own station, of which one is an hour fast: it counts from its arrival at the latest."""
    source = draw(st.sampled_from(["stations/ft-01", "stations/fast"]))
    minute, delay = draw(st.integers(0, 9)), draw(st.integers(0, 3))
    stamped = minute + 60 if source == "stations/fast" else minute
    what = draw(st.one_of(installs_and_removals(), loads_and_unloads(), unit_events()))
    return entry(at(min(stamped, minute + delay)), source, draw(st.uuids()).hex, what)


def failed(one: Entry) -> Entry:
    return one._replace(what=one.what._replace(verdict=FAIL)) if isinstance(one.what, RunReported) else one


@st.composite
def stories(draw: st.DrawFn, size: int = 12) -> list[Entry]:
    """A build of which some facts are missing and some runs fail, with disturbances; at least eight entries."""
    kept = [one for one in A_WHOLE_BUILD if draw(st.integers(0, 9))]
    kept = [failed(one) if draw(st.integers(0, 5)) == 0 else one for one in kept]
    more = draw(st.lists(disturbances(), min_size=max(0, 8 - len(kept)), max_size=size))
    return kept + more


QUIET = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def arrived(entries: Iterable[Entry], holds: tuple[Hold, ...] = HOLDS) -> Floor:
    floor = IncrementalFloor(DEFINITIONS, holds)
    for one in entries:
        floor.arrive(one)
    return floor.state()


def comparable(floor: Floor) -> dict[str, Any]:
    """Deviations as sets: the layers note theirs in one order in the reference and in another as facts arrive."""
    units = {unit: (progress.to_plain(), attempts) for unit, (progress, attempts) in floor.units.items()}
    deviations = {key: {one.code: one.facts for one in found} for key, found in floor.deviations.items()}
    return {
        "loadings": floor.loadings,
        "stays": floor.stays,
        "units": units,
        "nonconformances": floor.nonconformances,
        "deviations": deviations,
    }


@settings(QUIET, max_examples=60)
@given(st.data(), stories())
def test_any_order_and_any_repetition_of_arrival_end_the_same(data: st.DataObject, story: list[Entry]) -> None:
    arrival = data.draw(st.permutations(story + data.draw(st.lists(st.sampled_from(story), max_size=5))))
    reference = fold_floor(DEFINITIONS, story, HOLDS)
    assert comparable(fold_floor(DEFINITIONS, arrival, HOLDS)) == comparable(reference)
    assert comparable(arrived(arrival)) == comparable(reference)


@settings(QUIET, max_examples=60)
@given(stories())
def test_folding_on_in_order_is_folding_all(story: list[Entry]) -> None:
    assert comparable(arrived(in_order(story))) == comparable(fold_floor(DEFINITIONS, story, HOLDS))


SMALL_SETS = {
    "a swap in one second": [
        install(1, "t1", "B1", "b1"),
        install(2, "t1", "B1", "b2"),
        install(2, "t2", "B1", "b1"),
        install(2, "t1", "B1", "b3", "JUNK"),
        run(3, "test", FAIL),
    ],
    "a removal before its install is known": [
        install(1, "t1", "B1", "b1"),
        start(2, "test", TESTER, run="r1"),
        install(2, "rack", "U1", "t1", "TRAY"),
        install(3, "t2", "B1", "b1"),
        run(4, "test", run="r1"),
    ],
    "a retest": [
        done(0, "build"),
        run(1, "test", FAIL, run="r1"),
        start(1, "test", TESTER_2, run="r2"),
        run(2, "test", station=TESTER_2, run="r2"),
        packed(2),
    ],
    "material taken out in two goes in one second": [
        lot(1, "t1", "SCREWS", "lot7", 3),
        lot(2, "t1", "SCREWS", "lot7", 3),
        unlot(3, "t1", "SCREWS", "lot7", 2),
        unlot(3, "t1", "SCREWS", "lot7", 2),
        start(3, "test", TESTER),
    ],
    "a reel changed while units are built": [
        load(1, "lot7"),
        draw(2),
        load(3, "lot8"),
        draw(3, "t2"),
        unload(4, "lot8"),
        draw(4, "t2"),
    ],
    "two feeders, of which one is emptied": [
        load(1, "lot7", place="F1"),
        load(2, "lot8", place="F2", maker="Acme"),
        draw(2),
        unlot(3, "t1", "SCREWS", "lot7", 1),
        unload(3, "lot7"),
        draw(4),
    ],
}


def test_every_order_of_arrival_of_small_sets_ends_the_same() -> None:
    for name, story in SMALL_SETS.items():
        reference = comparable(fold_floor(DEFINITIONS, story, HOLDS))
        for arrival in permutations(story):
            assert comparable(arrived(arrival)) == reference, name


@settings(QUIET, max_examples=60)
@given(stories(size=25))
def test_a_part_is_in_one_place_and_a_position_holds_one_part(story: list[Entry]) -> None:
    stays = fold_floor(DEFINITIONS, story).stays
    serialized = [stay for stay in stays if stay.child]
    for one, other in product(serialized, serialized):
        if one is not other and (one.child == other.child or one.place == other.place):
            first, second = sorted((one, other), key=lambda stay: stay.since)
            assert first.until is not None
            assert first.until <= second.since
    assert not any(stay.is_empty for stay in stays)


@settings(QUIET, max_examples=60)
@given(stories(size=25))
def test_nothing_contains_itself(story: list[Entry]) -> None:
    stays = [stay for stay in fold_floor(DEFINITIONS, story).stays if stay.child]
    for moment in {stay.since for stay in stays}:
        parent_of = {s.child: s.parent for s in stays if s.since <= moment and (s.until is None or moment < s.until)}
        for unit in parent_of:
            above, depth = unit, 0
            while above in parent_of:
                above, depth = parent_of[above], depth + 1
                assert depth <= len(parent_of)


@settings(QUIET, max_examples=100)
@given(stories())
def test_states_move_by_the_table_and_only_finished_units_ship_by_fact(story: list[Entry]) -> None:
    floor = Walk()
    for one in in_order(story):
        for unit, before, after in floor.step(one):
            assert before is after or after in MOVES[before]
            if after is State.SHIPPED and before is not after and not isinstance(one.what, ShipmentDecided):
                assert is_complete(floor.units[unit], route_of(DEFINITIONS[unit]))
            if after in (State.COMPLETED, State.PACKED):
                assert is_complete(floor.units[unit], route_of(DEFINITIONS[unit])) or DEFINITIONS[unit] is None


class Walk:
    """Both layers applied in order, showing every move."""

    def __init__(self) -> None:
        self.assembly = Assembly()
        self.units = {unit: new_progress(definition) for unit, definition in DEFINITIONS.items()}

    def step(self, one: Entry) -> Iterable[tuple[str, State, State]]:
        change = self.assembly.apply(one)
        events: list[tuple[str, Any]] = [
            (event.unit, event) for event in changes_of(self.assembly, one.key, change, DEFINITIONS.get)
        ]
        if unit := subject_of(one.what):
            events.append((unit, one))
        for unit, what in events:
            outcome = apply(self.units[unit], DEFINITIONS[unit], what)
            yield unit, outcome.state_before, outcome.state_after


def test_holds_of_any_time_are_part_of_the_fold() -> None:
    story = [start(4, "build"), start(5, "build")]
    floor = fold_floor(DEFINITIONS, story, HOLDS)
    noted = ["on_hold" in {one.code for one in floor.deviations.get(each.key, ())} for each in story]
    assert noted == [True, False]
