"""Redfish resources, keyed by their odata ids, as the items of an inventory.

A position is the resource's place in the tree as its maker names it; serials tell which part of ours it is. Firmware
comes from the resources themselves and from the software inventory, whose entries are items of their own.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from mes.domain.inventory import SOFTWARE, Item

DEVICES: Final = frozenset(
    (
        "Chassis",
        "Processor",
        "Memory",
        "NetworkAdapter",
        "PCIeDevice",
        "Drive",
        "ComputerSystem",
        "PowerSupply",
        "Cable",
    )
)
"""Kinds of resources that are devices; collections, assemblies and slots name nothing that is not in these."""
_TEXT_MAX: Final = 255


def items(resources: Mapping[str, Any]) -> Iterator[Item]:
    """What the resources say of themselves. What is no resource, or says nothing, is left out."""
    for odata_id, resource in resources.items():
        if not isinstance(resource, Mapping):
            continue
        kind = _kind(resource)
        if kind == SOFTWARE:
            yield from _software(odata_id, resource)
        elif kind in DEVICES:
            yield from _device(odata_id, resource, kind)


def _kind(resource: Mapping[str, Any]) -> str:
    """`#Processor.v1_20_0.Processor` is a Processor."""
    return str(resource.get("@odata.type", "")).removeprefix("#").partition(".")[0]


def _software(odata_id: str, resource: Mapping[str, Any]) -> Iterator[Item]:
    name, version = _text(resource.get("Id")) or odata_id.rpartition("/")[2], _text(resource.get("Version"))
    if version:
        yield Item(name[:_TEXT_MAX], firmware={name[:_TEXT_MAX]: version}, kind=SOFTWARE)


def _device(odata_id: str, resource: Mapping[str, Any], kind: str) -> Iterator[Item]:
    part, serial = _text(resource.get("PartNumber")), _text(resource.get("SerialNumber"))
    version = _text(resource.get("FirmwareVersion"))
    if part or serial or version:
        called = _text(resource.get("ProcessorType")) or kind
        yield Item(_place(odata_id, resource), part, serial, {"": version} if version else {}, called.lower())


def _place(odata_id: str, resource: Mapping[str, Any]) -> str:
    """Where the maker says that it is: its context and label; failing that, the end of its odata id."""
    location = resource.get("Location")
    told = location if isinstance(location, Mapping) else {}
    part_location = told.get("PartLocation")
    label = _text(part_location.get("ServiceLabel")) if isinstance(part_location, Mapping) else None
    context = _text(told.get("PartLocationContext"))
    if label:
        return f"{context}/{label}"[:_TEXT_MAX] if context else label
    return odata_id.rpartition("/")[2][:_TEXT_MAX] or odata_id[:_TEXT_MAX]


def _text(value: Any) -> str | None:
    return value.strip()[:_TEXT_MAX] or None if isinstance(value, str) else None
