"""The law of the floor: where units, parts and verdicts end depends on what is known, never on when it came."""

from collections.abc import Iterable
from itertools import permutations, product
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mes.domain.assembly import Assembly
from mes.domain.facts import (
    FAIL,
    Entry,
    ShipmentDecided,
    in_order,
)
from mes.domain.floor import Floor, fold_floor
from mes.domain.gates import is_complete
from mes.domain.hold import Hold
from mes.domain.progress import MOVES, State
from mes.domain.route import route_of
from mes.domain.unit import apply, new_progress, subject_of
from tests.domain.floor_stories import (
    TESTER,
    TESTER_2,
    done,
    draw,
    install,
    load,
    lot,
    packed,
    run,
    start,
    unload,
    unlot,
)
from tests.domain.incremental_floor import IncrementalFloor, changes_of
from tests.domain.stories import DEFINITIONS, HOLDS, stories

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
