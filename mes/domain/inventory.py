"""An electronic inventory against what was built in: what each slot says, and which firmware is not the baseline's.

An inventory never changes what is known to be installed: it is electronics' word against the record's, and a person
finds out which is right. What a unit holds that can't report itself (a bracket, a cold plate) is not missed: a part is
missing if its slot was read as empty, if others of its part number reported themselves, or if its firmware is wanted.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from mes.domain.identity import is_placeholder
from mes.domain.product import Definition, Firmware
from mes.domain.refusals import Reason, reason

MATCH, MISSING, UNEXPECTED, WRONG_PART, WRONG_SERIAL, PLACEHOLDER, MOVED = (
    "match",
    "missing",
    "unexpected",
    "wrong_part",
    "wrong_serial",
    "placeholder",
    "moved",
)
"""The verdicts on a slot. `placeholder`: what unprogrammed hardware reports; `moved`: right serial, wrong slot."""
BLOCKING: Final = frozenset({"as_built_incomplete", "unit_mismatch", "firmware_mismatch"})
"""With any of these no step is granted that comes after the one in which the inventory was read."""
SOFTWARE: Final = "SoftwareInventory"
"""Kind of an item that is firmware by itself: its position is its name."""
_SHOWN_MAX: Final = 10


class Item(NamedTuple):
    """What one device says of itself: `firmware` is versions by name (under "" where it names none)."""

    position: str
    part: str | None = None
    serial: str | None = None
    firmware: Mapping[str, str] = {}
    kind: str | None = None


class Built(NamedTuple):
    """A part that the record says is in the unit; `path` leads to it from the unit. `serial` is None for a lot."""

    path: str
    part: str
    serial: str | None


class Slot(NamedTuple):
    """The verdict on one slot: what the record says is there, and what reported itself."""

    position: str
    verdict: str
    built: Built | None = None
    found: Item | None = None


class Mismatch(NamedTuple):
    """A firmware item that is not as the baseline wants it; `found` is None where nothing reported it."""

    wanted: Firmware
    position: str | None
    found: str | None


def compare(built: Sequence[Built], items: Sequence[Item], definition: Definition | None) -> list[Slot]:
    """A verdict for each slot that was read, and for each part that should have reported itself and did not."""
    by_path = {one.path: one for one in built}
    by_serial: dict[str, list[Built]] = {}
    for one in built:
        if one.serial:
            by_serial.setdefault(one.serial, []).append(one)
    known = {one.part for one in built} | {line.part for line in definition.bom} if definition else set()
    slots = [slot for item in items if (slot := _slot(item, by_path, by_serial, known))]
    return [*slots, *_missing(built, items, slots, definition)]


def _slot(
    item: Item, by_path: Mapping[str, Built], by_serial: Mapping[str, Sequence[Built]], known: set[str]
) -> Slot | None:
    """What an item says of its slot; None where it is about nothing that the record knows."""
    there = by_path.get(item.position)
    others = by_serial.get(item.serial, ()) if item.serial and not is_placeholder(item.serial) else ()
    if there is None:
        if others:  # it names places in its own way; one part may report itself as several devices
            return Slot(item.position, MATCH, others[0], item)
        return Slot(item.position, UNEXPECTED, None, item) if item.part in known else None
    return Slot(item.position, _verdict(item, there, others), there, item)


def _verdict(item: Item, there: Built, others: Sequence[Built]) -> str:
    if item.serial is None and item.part is None and not item.firmware:
        return MISSING
    if item.serial is None or there.serial is None:
        return MATCH if item.part in (None, there.part) else WRONG_PART
    if item.serial == there.serial:
        return MATCH
    if is_placeholder(item.serial):
        return PLACEHOLDER
    if others:
        return MOVED
    return WRONG_PART if item.part and item.part != there.part else WRONG_SERIAL


def _missing(
    built: Sequence[Built], items: Sequence[Item], slots: Sequence[Slot], definition: Definition | None
) -> Iterator[Slot]:
    seen = {slot.built.path for slot in slots if slot.built}
    told = {item.part for item in items} | {slot.built.part for slot in slots if slot.built and slot.verdict == MATCH}
    wanted = {one.position for one in definition.firmware} if definition else set()
    for one in built:
        if one.serial and one.path not in seen and (one.part in told or one.path in wanted):
            yield Slot(one.path, MISSING, one)


def wrong_firmware(items: Sequence[Item], definition: Definition | None) -> list[Mismatch]:
    """What of the firmware is not as the definition's baseline wants it."""
    found: list[Mismatch] = []
    if not any(item.firmware for item in items):
        return found  # it was no reading of firmware
    for wanted in definition.firmware if definition else ():
        reporting = [item for item in items if _is_meant(item, wanted)]
        versions = [(item.position, item.firmware.get(wanted.name, item.firmware.get(""))) for item in reporting]
        known = [(position, version) for position, version in versions if version is not None]
        if not known:
            found.append(Mismatch(wanted, wanted.position, None))
        found += [Mismatch(wanted, position, one) for position, one in known if one not in wanted.versions]
    return found


def _is_meant(item: Item, wanted: Firmware) -> bool:
    if item.kind == SOFTWARE:
        return item.position == wanted.name
    if wanted.position:
        return item.position == wanted.position
    return item.kind is not None and wanted.kind is not None and item.kind.lower() == wanted.kind.lower()


def reasons_of(slots: Iterable[Slot], firmware: Sequence[Mismatch]) -> list[Reason]:
    """What is wrong, each kind once with all its slots."""
    by_code: dict[str, list[Slot]] = {}
    for slot in slots:
        if code := _CODES.get(slot.verdict):
            by_code.setdefault(code, []).append(slot)
    found = [_told(code, some) for code, some in by_code.items()]
    if firmware:
        shown = ", ".join(map(_called, firmware[:_SHOWN_MAX]))
        text = f"Firmware differs from the baseline: {shown}{' …' if len(firmware) > _SHOWN_MAX else ''}."
        facts = [{"name": one.wanted.name, "position": one.position, "found": one.found} for one in firmware]
        found.append(reason("firmware_mismatch", text, firmware=facts))
    return found


_CODES: Final = {
    MISSING: "as_built_incomplete",
    UNEXPECTED: "unit_mismatch",
    WRONG_PART: "unit_mismatch",
    WRONG_SERIAL: "unit_mismatch",
    MOVED: "unit_mismatch",
    PLACEHOLDER: "placeholder_serial",
}


def _told(code: str, slots: Sequence[Slot]) -> Reason:
    shown = ", ".join(f"{slot.position} ({slot.verdict})" for slot in slots[:_SHOWN_MAX])
    text = f"The inventory differs from what was built in: {shown}{' …' if len(slots) > _SHOWN_MAX else ''}."
    return reason(code, text, slots=[{"position": slot.position, "verdict": slot.verdict} for slot in slots])


def _called(one: Mismatch) -> str:
    where = f"{one.wanted.name} at {one.position}" if one.position else one.wanted.name
    return f"{where} is {one.found or 'not told'}, wanted {' or '.join(one.wanted.versions)}"
