"""Stories of a floor on which everything may happen: a whole build of a rack with facts left out, and disturbances.

Swaps, early removals, equal times, reels changed in time and late, a station an hour fast, fails and retests, golden
runs, packs, shipments and decisions that should not be.
"""

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

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
    Station,
    StepAnswered,
    StepCompleted,
    StepStarted,
    UnitPacked,
    UnitShipped,
    entry,
)
from mes.domain.hold import STATION, UNIT, Hold
from mes.domain.nonconformance import RULINGS, id_from
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
    unlot,
)

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
def samples_taken(draw: st.DrawFn) -> SamplesTaken:
    """Telemetry of a channel that is within its limits, or too hot for some minutes, more or less than it may."""
    about = draw(UNITS), draw(STEPS), draw(STATIONS), draw(RUNS)
    if draw(st.booleans()):
        return SamplesTaken(*about)
    allowed_s, lasted_s = draw(st.sampled_from([0.0, 60.0, 180.0])), 60.0 * draw(st.integers(0, 3))
    before, after = draw(st.booleans()), draw(st.booleans())
    stretch = (0.0, lasted_s, 0.0, lasted_s, -30.0, lasted_s + 30.0)
    one = Excursion(f"hot-{allowed_s:g}", *stretch, before, after, allowed_s, 99.0, None, 85.0)
    return SamplesTaken(*about, (one,), at(draw(st.integers(0, 9))))


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
        lambda kind, name, *told: kind(Station(name, "assembly"), *told),
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
        samples_taken(),
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
