"""The README shows what the code says, and the tables of moves make sense."""

import pytest

from tests.house import roles
from tests.house.pictures import LIFECYCLES, README, redrawn


def test_readme_shows_what_the_code_says() -> None:
    readme = README.read_text()
    assert redrawn(readme) == readme, "Redraw with `python -m tests.house.pictures`"


def test_the_table_of_roles_leaves_nothing_out() -> None:
    assert not roles.without_words(), "Say in tests/house/roles.py what it is that only some may do"


@pytest.mark.parametrize("noun", LIFECYCLES)
def test_every_state_has_moves_and_a_sentence(noun: str) -> None:
    module = LIFECYCLES[noun]
    states = set(module.State)
    assert set(module.MOVES) == states, "State in the table what may follow, even if nothing may"
    assert set(module.SENTENCES) == states
    assert all(targets <= states for targets in module.MOVES.values())


@pytest.mark.parametrize("noun", LIFECYCLES)
def test_every_state_can_be_reached_and_left_until_it_is_final(noun: str) -> None:
    module = LIFECYCLES[noun]
    reached = {target for targets in module.MOVES.values() for target in targets}
    first = [state for state in module.State if state not in reached]
    assert len(first) <= 2, f"Nothing leads to {first}"
    assert any(not targets for targets in module.MOVES.values()), "Nothing is final"
