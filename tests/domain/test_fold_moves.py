"""The table of a unit's moves is the truth: each move in it happens, and none outside it does."""

from itertools import pairwise

import pytest

from mes.domain.as_built import PositionChanged, position_changes
from mes.domain.assembly import fold_assembly
from mes.domain.facts import FAIL, Entry, in_order
from mes.domain.nonconformance import id_from
from mes.domain.product import BomLine, Definition, Step
from mes.domain.unit import MOVES, State, apply, new_progress, subject_of
from tests.domain.floor_stories import disposed, install, packed, remove, run, shipment, shipped

FAN = Definition("FAN", "A", "Fan", "thermal", bom=(BomLine(("M1",), "MOTOR"),), route=(Step("spin", "test"),))
BOUGHT_FAN = Definition("FAN", "A", "Fan", "thermal", source="bought", route=(Step("spin", "test"),))
KIT = Definition("KIT", "A", "Kit", "component")

MOTOR = install(1, "t1", "M1", "motor", "MOTOR")
FAILS = [run(minute, "spin", FAIL) for minute in (2, 3)]
REWORK = disposed(4, id_from(FAILS[0].key), "rework")
SPIN, AGAIN, FAIL_AGAIN = run(5, "spin"), run(6, "spin"), run(7, "spin", FAIL)
OUT, SCRAP = remove(7, "t1", "M1", "motor"), disposed(8, id_from(FAILS[0].key), "scrap")
PACK, SHIP, DECIDE = packed(6.5), shipped(9), shipment(9)

STORIES: list[tuple[Definition | None, list[Entry]]] = [
    (FAN, [MOTOR, SPIN, PACK, SHIP]),
    (FAN, [MOTOR, SPIN, PACK, OUT, DECIDE]),
    (FAN, [MOTOR, SPIN, PACK, FAIL_AGAIN, DECIDE]),
    (FAN, [MOTOR, SPIN, PACK, SCRAP, DECIDE]),
    (FAN, [MOTOR, SPIN, PACK, DECIDE]),
    (FAN, [MOTOR, SPIN, OUT, SCRAP]),
    (FAN, [MOTOR, SPIN, FAIL_AGAIN, SCRAP]),
    (FAN, [MOTOR, SPIN, SCRAP]),
    (FAN, [MOTOR, SPIN, SHIP]),
    (FAN, [MOTOR, FAILS[0], SPIN]),
    (FAN, [FAILS[0], REWORK, MOTOR]),
    (FAN, [DECIDE]),
    (FAN, [SCRAP]),
    (KIT, [FAILS[0], PACK]),
    (BOUGHT_FAN, [SPIN]),
    (BOUGHT_FAN, [run(1, "spin", "error")]),
    (BOUGHT_FAN, [FAILS[0]]),
    (FAN, [FAILS[0]]),
    (None, [PACK]),
    (None, [SHIP]),
    (None, [SCRAP]),
]


def states(definition: Definition | None, story: list[Entry]) -> list[State]:
    """The states that a story takes a unit through."""
    progress = new_progress(definition)
    changes = position_changes(fold_assembly(story).stays, definition)
    events: list[Entry | PositionChanged] = [*changes, *(one for one in in_order(story) if subject_of(one.what))]
    in_turn = sorted(events, key=lambda one: one.key)
    return [progress.state, *(apply(progress, definition, event).state_after for event in in_turn)]


@pytest.mark.parametrize(("definition", "story"), STORIES)
def test_a_story_moves_by_the_table(definition: Definition | None, story: list[Entry]) -> None:
    for before, after in pairwise(states(definition, story)):
        assert before is after or after in MOVES[before]


def test_every_move_of_the_table_happens() -> None:
    seen = {move for story in STORIES for move in pairwise(states(*story))}
    assert {(before, after) for before, targets in MOVES.items() for after in targets} - seen == set()


def test_a_product_that_wants_nothing_is_not_packed_before_anything_was_done_to_it() -> None:
    assert states(KIT, [PACK]) == [State.CREATED, State.CREATED]
