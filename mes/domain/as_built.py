"""What is in a unit's positions, against what its definition wants there.

The bridge between the fold's two layers: stays of a unit's parts become `PositionChanged` events of the unit.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

from mes.domain.assembly import Place, Stay
from mes.domain.facts import Key, UnitId
from mes.domain.product import Definition
from mes.domain.refusals import Reason, reason
from mes.domain.route import route_of


class PositionChanged(NamedTuple):
    """A position of a unit holds something else from now on.

    `content` names it (a unit's id, or the ids of all lots it may be of joined by +; None: empty), `fits` says whether
    it is all that the definition wants there, `taken_out` whether something is gone that was there before.
    """

    key: Key
    unit: UnitId
    position: str
    content: str | None
    fits: bool
    taken_out: bool


def fit(definition: Definition | None, position: str, part: str, maker: str | None = None) -> tuple[Reason, ...]:
    """Why a part may not be in a position of a product; nothing if it may, or if the product is not defined here."""
    if definition is None:
        return ()
    line = route_of(definition).lines.get(position)
    if line is None:
        return (reason("position_unknown", position=position),)
    if not line.approves(part, maker):
        return (reason("wrong_part", position=position, part=part, wanted=line.part),)
    return ()


def is_fitting(definition: Definition | None, position: str, content: Sequence[Stay]) -> bool:
    """Whether what is in a position is all approved and enough. A lot of unknown quantity is taken to be enough."""
    line = route_of(definition).lines.get(position)
    if line is None:
        return definition is None
    if not all(line.approves(stay.part, stay.maker) for stay in content):
        return False
    quantity = _quantity(content)
    return quantity is None or quantity >= line.quantity


def position_change(
    key: Key, place: Place, content: Sequence[Stay], left: Sequence[Stay], definition: Definition | None
) -> PositionChanged:
    """What a place holds from now on, with its content now and the stays that have just ended there."""
    names = sorted({name for stay in content for name in ((stay.child,) if stay.child else stay.lots or (stay.part,))})
    return PositionChanged(
        key=key,
        unit=place[0],
        position=place[1],
        content="+".join(names) or None,
        fits=bool(content) and is_fitting(definition, place[1], content),
        taken_out=any(stay.child for stay in left) or bool(left and not content),
    )


def position_changes(stays: Iterable[Stay], definition: Definition | None) -> list[PositionChanged]:
    """The position changes that the stays in one unit mean, in the order in which they came about."""
    by_place: dict[Place, list[Stay]] = {}
    for stay in stays:
        by_place.setdefault(stay.place, []).append(stay)
    changes = [one for place, there in by_place.items() for one in _changes_at_place(place, there, definition)]
    return sorted(changes, key=lambda one: one.key)


def _changes_at_place(place: Place, stays: list[Stay], definition: Definition | None) -> Iterable[PositionChanged]:
    opened: dict[Key, list[Stay]] = {}
    closed: dict[Key, list[Stay]] = {}
    rest_since: dict[Key, Key] = {}
    for stay in sorted(stays, key=lambda one: one.since):
        # What is left of a lot keeps its install's key, but came about by the removal before it.
        opened.setdefault(rest_since.get(stay.installed_by, stay.installed_by), []).append(stay)
        if stay.removed_by:
            rest_since[stay.installed_by] = stay.removed_by
            closed.setdefault(stay.removed_by, []).append(stay)
    content: list[Stay] = []
    for key in sorted({*opened, *closed}):
        left = closed.get(key, [])
        content = [*(stay for stay in content if stay not in left), *opened.get(key, [])]
        yield position_change(key, place, content, left, definition)


def _quantity(content: Sequence[Stay]) -> Decimal | None:
    """How much is there, a serialized part being one; None: not known."""
    amounts = [Decimal(1) if stay.child else stay.quantity for stay in content]
    known = [amount for amount in amounts if amount is not None]
    return sum(known, Decimal(0)) if len(known) == len(amounts) else None
