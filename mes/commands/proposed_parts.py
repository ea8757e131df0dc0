"""Parts that a station is about to install: what speaks against each of them, before it is done."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from mes.commands.folding import Folding
from mes.commands.recognition import Names, lot_key
from mes.db.holds import holds_on
from mes.db.installations import stays_touching
from mes.db.units import LockedUnit
from mes.domain.assembly import Stay
from mes.domain.facts import UnitId
from mes.domain.gates import reasons_against_building_in
from mes.domain.hold import Hold, concerning, in_force
from mes.domain.product import BomLine, Definition
from mes.domain.refusals import Reason, reason
from mes.formats.messages import Child


class _Floor(NamedTuple):
    """What the floor says of the proposed parts: where they are by child's id, and the holds on any of them."""

    stays: dict[UnitId, Stay]
    holds: Sequence[Hold]


class Proposed:
    """The parts of one ask. Its units must be locked before reasons are looked for."""

    def __init__(self, folding: Folding, names: Names, parts: Sequence[Child]) -> None:
        self.folding = folding
        self.names = names
        self.parts = parts
        self._known = {one: found for one in parts if one.serial and (found := names.child(one))}

    @property
    def unit_ids(self) -> set[UnitId]:
        """The units among them that are known."""
        return {one.id for one in self._known.values()}

    async def reasons_against(self, parent: LockedUnit, step: str) -> list[Reason]:
        """All that speaks against installing each of them into a unit in a step."""
        if not self.parts:
            return []
        floor = _Floor(await self._stays(), await self._holds())
        lines = _lines(parent.definition, step)
        return [why for part in self.parts for why in self._against(part, parent, lines, floor)]

    def _against(
        self, part: Child, parent: LockedUnit, lines: Sequence[BomLine] | None, floor: _Floor
    ) -> Iterator[Reason]:
        shown = {"part": part.part, **({"serial": part.serial} if part.serial else {"lot": part.lot})}
        label = f"{part.part} {part.serial or part.lot}"
        known = self._known.get(part)
        child = self.folding.units[known.id] if known else None
        maker = part.maker or (known.maker if known else None) or None
        if lines is not None and not any(one.approves(part.part, maker) for one in lines):
            wanted = sorted({one.part for one in lines})
            yield reason("wrong_part", f"{label} is not approved for this step.", **shown, wanted=wanted)
        if part.serial and child is None:
            yield from self._against_unknown(part)
        if child:
            for why in reasons_against_building_in(child.progress, child.definition):
                yield reason(why.code, f"{label}: {why.text}", **shown, **why.facts)
            yield from _against_place(label, shown, child, parent, floor)
        held = in_force(self._concerning(part, child, floor.holds), self.folding.at)
        if held:
            holds = [{"id": one.id, "scope": one.scope, "reason": one.reason} for one in held]
            yield reason("on_hold", f"{label} is on hold.", **shown, holds=holds)

    def _against_unknown(self, part: Child) -> Iterator[Reason]:
        """A part that nobody has heard of: bought ones may become known by being installed, made ones not."""
        known = self.names.parts.get(part.part)
        shown = {"part": part.part, "serial": part.serial}
        if known and known.source == "made":
            yield reason("unknown_unit", f"No order has made a {part.part} with the serial {part.serial}.", **shown)
        elif known and known.receipt_required:
            yield reason("not_received", f"{part.part} {part.serial} was never received.", **shown)

    async def _stays(self) -> dict[UnitId, Stay]:
        """Where each known unit is now."""
        if not self._known:
            return {}
        at = self.folding.at
        stays = [stored.stay for stored in await stays_touching(self.folding.connection, self.unit_ids, (), at)]
        return {stay.child: stay for stay in stays if stay.child and (stay.until is None or stay.until > at)}

    async def _holds(self) -> list[Hold]:
        units = [self.folding.units[one] for one in self.unit_ids]
        keys = {key for unit in units for key in (unit.id, unit.order_number) if key}
        keys |= {one.part for one in self.parts} | set(self.names.lots.values())
        return await holds_on(self.folding.connection, keys)

    def _concerning(self, part: Child, child: LockedUnit | None, holds: Iterable[Hold]) -> Sequence[Hold]:
        lot = self.names.lots.get(lot_key(part)) if part.lot else None
        unit, order = (child.id, child.order_number) if child else (None, None)
        return concerning(holds, unit=unit, part=part.part, order=order, lots=[lot] if lot else ())


def _lines(definition: Definition | None, step: str) -> Sequence[BomLine] | None:
    """The bill of materials as far as a step installs it; all of it for a step that installs nothing by definition.

    None where the unit has no definition to say what it wants.
    """
    if definition is None:
        return None
    routed = definition.step(step)
    found = [definition.line_at(position) for position in (routed.installs if routed else ())]
    return [one for one in found if one] or definition.bom


def _against_place(
    label: str, shown: dict[str, str | None], child: LockedUnit, parent: LockedUnit, floor: _Floor
) -> Iterator[Reason]:
    """A part is in one place at a time; one that is in this very unit already does no harm."""
    stay = floor.stays.get(child.id)
    if stay and stay.parent != parent.id:
        text = f"{label} was already recorded as installed elsewhere, at {stay.position}."
        yield reason("already_installed", text, **shown, position=stay.position)
