"""Parts that a station is about to install, and lots that it takes from: what speaks against each beforehand."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from mes.commands.recognition import Names, lot_key
from mes.db.asks import SeenUnit, Sight
from mes.domain.gates import reasons_against_building_in, reasons_against_taking
from mes.domain.hold import Hold, concerning, in_force
from mes.domain.product import BomLine, Definition
from mes.domain.refusals import Reason, reason
from mes.formats.messages import Child


class Proposed:
    """The parts of one ask, by what was seen of them at a moment."""

    def __init__(self, sight: Sight, names: Names, parts: Sequence[Child], at: datetime) -> None:
        self.sight = sight
        self.names = names
        self.parts = parts
        self.at = at

    def reasons_against(self, parent: SeenUnit, step: str) -> list[Reason]:
        """All that speaks against installing each of them into a unit in a step, and what is loaded for it."""
        if not (self.parts or self.sight.loaded):
            return []
        lines = _lines(parent.definition, step)
        found = [why for part in self.parts for why in self._against(part, parent, lines)]
        return [*found, *self._against_loaded(lines or ())]

    def _against(self, part: Child, parent: SeenUnit, lines: Sequence[BomLine] | None) -> Iterator[Reason]:
        shown = {"part": part.part, **({"serial": part.serial} if part.serial else {"lot": part.lot})}
        label = f"{part.part} {part.serial or part.lot or ''}".strip()
        known = self.names.child(part) if part.serial else None
        child = self.sight.units[known.id] if known else None
        maker = part.maker or (known.maker if known else None) or None
        if lines is not None and not any(one.approves(part.part, maker) for one in lines):
            wanted = sorted({one.part for one in lines})
            yield reason("wrong_part", f"{label} is not approved for this step.", **shown, wanted=wanted)
        if part.serial and child is None:
            yield from self._against_unknown(part)
        if not part.serial and not part.lot and not self._is_at_hand(part):
            yield reason("not_loaded", f"No lot of {part.part} is loaded at the station.", part=part.part)
        if child:
            for why in reasons_against_building_in(child.progress, child.definition):
                yield reason(why.code, f"{label}: {why.text}", **shown, **why.facts)
            yield from _against_place(label, shown, child, parent)
        held = in_force(self._concerning(part, child), self.at)
        if held:
            holds = [one.facts for one in held]
            yield reason("on_hold", f"{label} is on hold: {_told(held)}.", **shown, holds=holds)
        if child:
            others = [one for one in self.sight.holds if one not in held]
            for why in reasons_against_taking(child.inside, self.at, others):
                yield reason(why.code, f"{label}: {why.text}", **shown, **why.facts)

    def _against_unknown(self, part: Child) -> Iterator[Reason]:
        """A part that nobody has heard of: bought ones may become known by being installed, made ones not."""
        known = self.names.parts.get(part.part)
        shown = {"part": part.part, "serial": part.serial}
        if known and known.source == "made":
            yield reason("unknown_unit", f"No order has made a {part.part} with the serial {part.serial}.", **shown)
        elif known and known.receipt_required:
            yield reason("not_received", f"{part.part} {part.serial} was never received.", **shown)

    def _is_at_hand(self, part: Child) -> bool:
        """Whether a part without serial and lot is there to be taken: loaded, or one of which no lots are kept."""
        known = self.names.parts.get(part.part)
        return (known is not None and known.tracking == "bulk") or any(
            one.part == part.part and (not part.maker or one.maker in ("", part.maker)) for one in self.sight.loaded
        )

    def _against_loaded(self, lines: Sequence[BomLine]) -> Iterator[Reason]:
        """Lots on hold that the step would take from."""
        for one in self.sight.loaded:
            held = in_force(concerning(self.sight.holds, part=one.part, lots=[one.id]), self.at)
            if held and any(line.approves(one.part, one.maker or None) for line in lines):
                holds = [hold.facts for hold in held]
                text = f"{one.part} of lot {one.lot}, loaded at the station, is on hold: {_told(held)}."
                yield reason("on_hold", text, part=one.part, lot=one.lot, holds=holds)

    def _concerning(self, part: Child, child: SeenUnit | None) -> Iterable[Hold]:
        lot = self.names.lots.get(lot_key(part)) if part.lot else None
        unit, order = (child.id, child.order_number) if child else (None, None)
        return concerning(self.sight.holds, unit=unit, part=part.part, order=order, lots=[lot] if lot else ())


def _told(held: Iterable[Hold]) -> str:
    return "; ".join(one.told for one in held)


def _lines(definition: Definition | None, step: str) -> Sequence[BomLine] | None:
    """The bill of materials as far as a step installs it; all of it for a step that installs nothing by definition.

    None where the unit has no definition to say what it wants.
    """
    if definition is None:
        return None
    routed = definition.step(step)
    found = [definition.line_at(position) for position in (routed.installs if routed else ())]
    return [one for one in found if one] or definition.bom


def _against_place(label: str, shown: dict[str, str | None], child: SeenUnit, parent: SeenUnit) -> Iterator[Reason]:
    """A part is in one place at a time; one that is in this very unit already does no harm."""
    place = child.built_in
    if place and place.parent != parent.id:
        text = f"{label} was already recorded as installed elsewhere, at {place.position}."
        yield reason("already_installed", text, **shown, position=place.position)
