"""A work order's life: created, released to the floor, held and resumed, completed by its units, closed.

`completed` is not said by anyone: it follows from the units (`after_counting`), and is taken back when a unit of the
order falls back or the quantity rises. Closing is a person's or the ERP's word and final.
"""

from collections.abc import Mapping
from enum import StrEnum

from mes.domain.progress import State as UnitState
from mes.domain.refusals import refuse


class State(StrEnum):
    """Where a work order is in its life."""

    CREATED = "created"
    RELEASED = "released"
    HELD = "held"
    COMPLETED = "completed"
    CLOSED = "closed"
    CANCELLED = "cancelled"


SENTENCES: Mapping[State, str] = {
    State.CREATED: "Known, but nothing may start.",
    State.RELEASED: "Its units exist and may be worked on.",
    State.HELD: "Work on its units is stopped for now.",
    State.COMPLETED: "As many units as ordered are completed, packed or shipped.",
    State.CLOSED: "Settled; what happens to its units from now on is a deviation.",
    State.CANCELLED: "Given up before it was done.",
}

VERBS: Mapping[State, Mapping[str, State]] = {
    State.CREATED: {"release": State.RELEASED, "cancel": State.CANCELLED},
    State.RELEASED: {
        "hold": State.HELD,
        "complete": State.COMPLETED,
        "close": State.CLOSED,
        "cancel": State.CANCELLED,
    },
    State.HELD: {"resume": State.RELEASED, "close": State.CLOSED, "cancel": State.CANCELLED},
    State.COMPLETED: {"reopen": State.RELEASED, "close": State.CLOSED},
    State.CLOSED: {},
    State.CANCELLED: {},
}

MOVES: Mapping[State, frozenset[State]] = {state: frozenset(verbs.values()) for state, verbs in VERBS.items()}

DONE_UNIT_STATES = ("completed", "packed", "shipped")


def move(state: str, verb: str) -> State:
    """The state after a verb (release, hold, resume, complete, reopen, close, cancel), or `move_not_allowed`."""
    possible = VERBS[State(state)]
    if verb not in possible:
        raise refuse("move_not_allowed", state=str(state), verb=verb, possible=sorted(possible))
    return possible[verb]


UNDONE_UNIT_STATES = tuple(one.value for one in UnitState if one.value not in DONE_UNIT_STATES)


def after_counting(state: str, quantity: int, units_by_state: Mapping[str, int]) -> State:
    """The state that follows from how many of the order's units are in which state."""
    done = sum(units_by_state.get(unit_state, 0) for unit_state in DONE_UNIT_STATES)
    if state == State.RELEASED and done >= quantity:
        return move(state, "complete")
    if state == State.COMPLETED and done < quantity:
        return move(state, "reopen")
    return State(state)
