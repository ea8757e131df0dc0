"""Nonconformances: what went wrong with a unit, and how it was settled.

A failed step opens one by itself, and so does a late fact that contradicts a shipment. Its id is a function of the
entry that opened it: folding the unit again finds the same nonconformance, not another one. People diagnose, repair
and dispose of it; it closes when the step passes on retest, or by a disposition that needs no retest.
"""

from collections.abc import Mapping
from enum import StrEnum
from hashlib import sha256
from typing import NamedTuple

from mes.domain.facts import Key
from mes.domain.refusals import refuse

FAILED_STEP, CONTRADICTION = "failed_step", "contradiction"
"""Kinds: a step failed; what is known now contradicts a decision to ship."""

REWORK, SCRAP, USE_AS_IS = "rework", "scrap", "use_as_is"
RULINGS = (REWORK, SCRAP, USE_AS_IS)

PASSED_ON_RETEST, SCRAPPED, USED_AS_IS, DECIDED = "passed_on_retest", "scrapped", "used_as_is", "decided"
"""How one is settled; `decided`: disposed of when the unit had already left the floor."""


class State(StrEnum):
    """Where a nonconformance is in its life."""

    OPEN = "open"
    DIAGNOSED = "diagnosed"
    REPAIRED = "repaired"
    DISPOSED = "disposed"
    CLOSED = "closed"


SENTENCES: Mapping[State, str] = {
    State.OPEN: "Something is wrong with the unit and nobody has found out why.",
    State.DIAGNOSED: "The cause is known.",
    State.REPAIRED: "Something was done about the cause; the unit is to be tested again.",
    State.DISPOSED: "Someone with the right decided what becomes of the unit.",
    State.CLOSED: "Settled: passed on retest, or disposed of without one.",
}

VERBS: Mapping[State, Mapping[str, State]] = {
    State.OPEN: {
        "diagnose": State.DIAGNOSED,
        "repair": State.REPAIRED,
        "dispose": State.DISPOSED,
        "close": State.CLOSED,
    },
    State.DIAGNOSED: {
        "diagnose": State.DIAGNOSED,
        "repair": State.REPAIRED,
        "dispose": State.DISPOSED,
        "close": State.CLOSED,
    },
    State.REPAIRED: {
        "diagnose": State.DIAGNOSED,
        "repair": State.REPAIRED,
        "dispose": State.DISPOSED,
        "close": State.CLOSED,
    },
    State.DISPOSED: {"repair": State.DISPOSED, "dispose": State.DISPOSED, "close": State.CLOSED},
    State.CLOSED: {},
}

MOVES: Mapping[State, frozenset[State]] = {state: frozenset(verbs.values()) for state, verbs in VERBS.items()}


class Nonconformance(NamedTuple):
    """One nonconformance as the fold knows it; `step` is None where no step failed."""

    id: str
    kind: str
    step: str | None
    opened_by: Key
    closed_by: Key | None = None
    settled: str | None = None


class Settlement(NamedTuple):
    """A nonconformance closed: which, how, and by which entry."""

    id: str
    how: str
    by: Key


def id_from(key: Key) -> str:
    """The id of the nonconformance that an entry opens: 32 hex digits, the same whenever it is worked out."""
    return sha256(f"{key.source}\n{key.id}".encode()).hexdigest()[:32]


def move(state: str, verb: str) -> State:
    """The state after a verb (diagnose, repair, dispose, close); refuses `not_nonconforming`, `move_not_allowed`."""
    possible = VERBS[State(state)]
    if not possible:
        raise refuse("not_nonconforming", state=str(state), verb=verb)
    if verb not in possible:
        raise refuse("move_not_allowed", state=str(state), verb=verb, possible=sorted(possible))
    return possible[verb]
