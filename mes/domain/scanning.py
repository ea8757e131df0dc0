"""What a scan at an assembly bench means: given the unit on the bench and what is known of the label, one move.

The bench goes through the positions that a step installs, in the definition's order. A scanned position points at
where the next part goes; a scanned part goes to the position pointed at, or else to the next one that is empty. A part
that is in the unit already stays where it is when it is scanned again, and moves when a position was pointed at first.
What should not be done is answered with an objection and the ways to mend it, before anything is on the record.
"""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple, TypeAlias

from mes.domain.gates import reasons_against_building_in
from mes.domain.hold import Hold
from mes.domain.identity import is_name, is_placeholder
from mes.domain.product import BomLine, Definition
from mes.domain.progress import Progress
from mes.domain.refusals import Reason, reason

SERIAL = "serial"


class Label(NamedTuple):
    """A scan: its text, and the serials it may stand for, the likeliest first; part and lot where it names them."""

    text: str
    serials: tuple[str, ...]
    part: str | None = None
    lot: str | None = None


class Place(NamedTuple):
    """Where a part is: the parent's id and serial, and the position in it."""

    parent: str
    serial: str
    position: str


class Found(NamedTuple):
    """A unit that a scan may mean. `definition` is None for a bought part that has none."""

    id: str
    part: str
    maker: str
    serial: str
    definition: Definition | None
    progress: Progress
    place: Place | None = None
    holds: tuple[Hold, ...] = ()


class PartKnown(NamedTuple):
    """What is known of a part number that the bill of materials names."""

    part: str
    name: str
    source: str
    tracking: str
    receipt_required: bool


class OnBench(NamedTuple):
    """The unit on the bench: the positions its step installs, which one was pointed at, which part was named before.

    `quantities` says how much of a lot is in a position already.
    """

    id: str
    serial: str
    definition: Definition
    progress: Progress
    positions: tuple[str, ...]
    parts: Mapping[str, PartKnown]
    quantities: Mapping[str, Decimal]
    pointed_at: str | None = None
    part_named: str | None = None

    @property
    def next(self) -> str | None:
        """The first position that is not filled."""
        return next((one for one in self.positions if not self.progress.filled(one)), None)

    @property
    def target(self) -> str | None:
        """Where the next part goes."""
        return self.pointed_at or self.next


class PointAt(NamedTuple):
    """The next part goes into this position."""

    position: str


class NamePart(NamedTuple):
    """The next scan is the serial of this part number."""

    part: str


class TakeUp(NamedTuple):
    """Another unit, or the same again, comes onto the bench."""

    unit: Found


class Install(NamedTuple):
    """A part, or some of a lot, goes into a position. `moved_from`: it was in another one of the same unit."""

    position: str
    part: str
    serial: str | None = None
    lot: str | None = None
    quantity: Decimal | None = None
    moved_from: str | None = None
    again: bool = False


class Mend(NamedTuple):
    """One way out: point at a `position`, name the `part`, `remove` what is there, take up the `unit`, or `confirm`."""

    way: str
    what: str


class Objection(NamedTuple):
    """The scan is not done, for this reason; the mends are tried in this order."""

    why: Reason
    mends: tuple[Mend, ...] = ()


Move: TypeAlias = PointAt | NamePart | TakeUp | Install | Objection


def read(bench: OnBench, label: Label, found: Sequence[Found], confirmed: bool = False) -> Move:
    """What a scan means. `found` are all units that carry one of its serials; `confirmed`: moving it here is meant."""
    if label.text in bench.progress.positions or bench.definition.line_at(label.text):
        return PointAt(label.text)
    if own := next((one for one in found if one.id == bench.id), None):
        return TakeUp(own)
    if not label.serials and not label.lot:
        return _named(bench, label) if label.part else Objection(reason("unreadable", "This label carries no serial."))
    wanted = label.part or bench.part_named
    fitting = [one for one in found if wanted in (None, one.part)]
    if inside := next((one for one in fitting if _is_inside(bench, one)), None):
        return _again(bench, inside)
    target = bench.target
    if target is None:
        return _nowhere(bench, fitting)
    line = bench.definition.line_at(target)
    assert line is not None, target
    if _tracking(bench, line.part) != SERIAL:
        return _lot(bench, label, target, line, fitting)
    return _serial(bench, label, target, line, fitting, confirmed)


def _named(bench: OnBench, label: Label) -> Move:
    part = label.part or ""
    if any(line.approves(part, None) for line in bench.definition.bom):
        return NamePart(part)
    return Objection(reason("wrong_part", f"{part} goes nowhere in {bench.serial}.", part=part))


def _is_inside(bench: OnBench, one: Found) -> bool:
    return one.place is not None and one.place.parent == bench.id


def _again(bench: OnBench, one: Found) -> Move:
    """It is in this unit already: said once more it stays; where another position was pointed at, it moves."""
    assert one.place is not None
    at = one.place.position
    if bench.pointed_at in (None, at):
        return Install(at, one.part, one.serial, again=True)
    line = bench.definition.line_at(bench.pointed_at)
    if line is None or not line.approves(one.part, one.maker or None):
        return _wrong_part(bench, one.part, bench.pointed_at)
    if bench.pointed_at in bench.progress.positions:
        return _occupied(bench.pointed_at)
    return Install(bench.pointed_at, one.part, one.serial, moved_from=at)


def _nowhere(bench: OnBench, found: Sequence[Found]) -> Move:
    """Every position is filled: another unit that is built here may come onto the bench."""
    routed = [one for one in found if one.definition and one.definition.route]
    if len(routed) == 1:
        return TakeUp(routed[0])
    return Objection(reason("nothing_to_install", unit=bench.serial))


def _lot(bench: OnBench, label: Label, target: str, line: BomLine, found: Sequence[Found]) -> Move:
    """Material that has no serials: what is scanned is its lot."""
    lot, part = label.lot or label.text, label.part or bench.part_named or line.part
    if found:
        return _wrong_part(bench, found[0].part, target, found[0])
    if not line.approves(part, None):
        return _wrong_part(bench, part, target)
    if not is_name(lot) or is_placeholder(lot):
        return Objection(reason("unreadable", f"{lot!r} can't be a lot number."))
    missing = line.quantity - bench.quantities.get(target, Decimal(0))
    if missing <= 0:
        return _occupied(target)
    return Install(target, part, lot=lot, quantity=missing)


def _serial(bench: OnBench, label: Label, target: str, line: BomLine, found: Sequence[Found], confirmed: bool) -> Move:
    approved = [one for one in found if line.approves(one.part, one.maker or None)]
    if len(approved) > 1:
        parts = sorted({one.part for one in approved})
        why = reason("ambiguous_serial", f"{approved[0].serial} is the serial of {_listed(parts)}.", parts=parts)
        return Objection(why, tuple(Mend("part", part) for part in parts))
    if target in bench.progress.positions:
        return _occupied(target)
    if approved:
        return _known(bench, approved[0], target, confirmed)
    if found:
        return _wrong_part(bench, found[0].part, target, found[0])
    return _unknown(bench, label, target, line)


def _known(bench: OnBench, one: Found, target: str, confirmed: bool) -> Move:
    """A part that the floor knows: finished, free, and not built in somewhere else."""
    label = f"{one.part} {one.serial}"
    if against := reasons_against_building_in(one.progress, one.definition):
        why = against[0]
        return Objection(reason(why.code, f"{label} can't be built in: {why.text}", **why.facts))
    if one.holds:
        text = f"{label} is on hold: {'; '.join(hold.reason for hold in one.holds)}"
        return Objection(reason("on_hold", text, holds=[hold.id for hold in one.holds]))
    if one.place and not confirmed:
        text = f"{label} is recorded in {one.place.serial} at {one.place.position}."
        return Objection(reason("already_installed", text, parent=one.place.parent), (Mend("confirm", target),))
    return Install(target, one.part, one.serial)


def _unknown(bench: OnBench, label: Label, target: str, line: BomLine) -> Move:
    """A serial that nobody has heard of: a bought part becomes known by this scan, a made one never does."""
    serial = label.serials[0] if label.serials else label.text
    part = label.part or bench.part_named
    if part is None and line.alternates:
        parts = list(dict.fromkeys((line.part, *(one.part for one in line.alternates))))
        why = reason("part_not_named", f"{serial} is new here, and {target} takes {_listed(parts)}.", parts=parts)
        return Objection(why, tuple(Mend("part", one) for one in parts))
    part = part or line.part
    if not line.approves(part, None):
        return _wrong_part(bench, part, target)
    if is_placeholder(serial):
        return Objection(reason("placeholder_serial", serial=serial))
    if not is_name(serial):
        return Objection(reason("unreadable", f"{serial!r} can't be a serial."))
    known = bench.parts.get(part)
    if known and known.source == "made":
        text = f"{target} takes a {part}, and no order has made one with the serial {serial}."
        return Objection(reason("unknown_unit", text, part=part, serial=serial))
    if known and known.receipt_required:
        text = f"{part} {serial} was never received; goods-in has to receive it first."
        return Objection(reason("not_received", text, serial=serial))
    return Install(target, part, serial)


def _wrong_part(bench: OnBench, part: str, target: str, found: Found | None = None) -> Objection:
    """Not for this position: where else in the unit it would fit, or that it is a unit to be built itself."""
    line = bench.definition.line_at(target)
    wanted = list(dict.fromkeys((line.part, *(one.part for one in line.alternates)))) if line else []
    places = _places_for(bench, part, exclude=(target,))
    text = f"{target} takes {_listed(wanted)}, and this is {part}{f' {found.serial}' if found else ''}."
    if not places and (
        elsewhere := [one for line in bench.definition.bom if line.approves(part, None) for one in line.positions]
    ):
        text += f" It goes into {_listed(elsewhere[:4])}{' …' if len(elsewhere) > 4 else ''}, in another step."
    mends = [Mend("position", one) for one in places[:3]]
    if found and found.definition and found.definition.route:
        mends.append(Mend("unit", found.serial))
    return Objection(reason("wrong_part", text, part=part, position=target, wanted=wanted), tuple(mends))


def _places_for(bench: OnBench, part: str, exclude: Collection[str]) -> list[str]:
    """Empty positions of the step that take a part."""
    empty = [one for one in bench.positions if one not in exclude and one not in bench.progress.positions]
    return [one for one in empty if (line := bench.definition.line_at(one)) and line.approves(part, None)]


def _occupied(position: str) -> Objection:
    text = f"{position} is filled. Take out what is there first."
    return Objection(reason("position_occupied", text, position=position), (Mend("remove", position),))


def _tracking(bench: OnBench, part: str) -> str:
    known = bench.parts.get(part)
    return known.tracking if known else SERIAL


def _listed(parts: Sequence[str]) -> str:
    return " or ".join(parts)
