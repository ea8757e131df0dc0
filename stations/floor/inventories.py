"""Inventories: what electronics say is in a unit, read where its firmware is checked against the baseline."""

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from mes.formats.messages import Child, InventoryItem, InventoryRead
from stations.floor.faults import Fault
from stations.floor.products import FIRMWARE, Catalog, Firmware
from stations.floor.work import Attempt, Unit

OLD = "0.9.1"
"""A version that no baseline names."""
LETTERS_MIN = 3


class Device(NamedTuple):
    """A serialized part in a unit, `path` leading to it; `within` is the name of the product that holds it."""

    path: str
    part: Child
    name: str
    within: str


def read_inventory(attempt: Attempt, fault: Fault | None) -> None:
    """Devices with a baseline report themselves, and so does every other of their part numbers."""
    unit, floor = attempt.unit, attempt.floor
    die = floor.chance.of(attempt.run, "inventory")
    is_off = fault is not None and fault.characteristic is not None and fault.characteristic.name == FIRMWARE
    items = _items(list(_devices(floor.catalog, unit)), unit.product.firmware, die, is_off)
    if items:
        attempt.tell(lambda moment, at: InventoryRead(unit.ref, moment(at), attempt.run, items))


def _devices(catalog: Catalog, unit: Unit, path: str = "") -> Iterator[Device]:
    for position, part in unit.inside.items():
        if isinstance(part, Unit):
            yield Device(path + position, part.as_child, part.product.name, unit.product.name)
            yield from _devices(catalog, part, f"{path}{position}/")
        elif part.serial:
            yield Device(path + position, part, catalog[part.part].name, unit.product.name)


def _items(
    devices: list[Device], baseline: tuple[Firmware, ...], die: Random, is_off: bool
) -> tuple[InventoryItem, ...]:
    wanted = {one.path: [wish for wish in baseline if _is_meant(one, wish)] for one in devices}
    telling = {one.part.part for one in devices if wanted[one.path]}
    old = die.choice([path for path, wishes in wanted.items() if wishes]) if is_off and telling else None
    return tuple(_item(one, wanted[one.path], die, one.path == old) for one in devices if one.part.part in telling)


def _item(device: Device, wanted: list[Firmware], die: Random, is_old: bool) -> InventoryItem:
    versions = {one.name: OLD if is_old else die.choice(one.versions) for one in wanted}
    kind = next((one.kind for one in wanted if one.kind), None)
    return InventoryItem(device.path, device.part.part, device.part.serial, versions or None, kind)


def _is_meant(device: Device, wanted: Firmware) -> bool:
    """Whether a baseline is about a device. A kind is known by its slot (`GPU3`) or its name (`… drive`), and where it
    says in what it is (`compute-bmc`), by the product that holds it.
    """
    if wanted.position:
        return device.path == wanted.position
    holder, _, kind = (wanted.kind or "").rpartition("-")
    slot = device.path.rpartition("/")[2].rstrip("0123456789").lower()
    is_kind = (len(slot) >= LETTERS_MIN and kind.startswith(slot)) or kind in device.name.lower().split(",")[0].split()
    return is_kind and holder in device.within.lower()
