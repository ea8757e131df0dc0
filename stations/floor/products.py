"""Product definitions as stations read them: the documents that REST gives."""

from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from typing import Any

import msgspec
from msgspec import Struct, field

NETLIST = "netlist"
FIRMWARE = "firmware_matches"
"""The characteristic that says that an inventory was read and every version is the baseline's."""


class Alternate(Struct, frozen=True):
    """A part approved in place of another; with `maker`, only that maker's."""

    part: str
    maker: str | None = None


class BomLine(Struct, frozen=True):
    """A part and the positions that it fills, `quantity` in each."""

    part: str
    positions: tuple[str, ...]
    alternates: tuple[str | Alternate, ...] = ()
    quantity: float = 1
    retest_from: str | None = None


class Step(Struct, frozen=True):
    """One step of a route."""

    step: str
    station_kind: str
    after: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    installs: tuple[str, ...] = ()
    min_s: float = 0
    attempts: int | None = None
    on_no_answer: str = "stop"
    signed: bool = False


class Characteristic(Struct, frozen=True):
    """What is measured and what it must be."""

    name: str
    unit: str | None = None
    low: float | None = None
    high: float | None = None
    equals: str | float | bool | None = None
    position: str | None = None
    beyond_s: float | None = None


class Firmware(Struct, frozen=True):
    """The versions that a device may have: the one at a position, or all of a kind."""

    name: str
    versions: tuple[str, ...]
    position: str | None = None
    kind: str | None = None


class Wire(Struct, frozen=True):
    """A wire of a netlist."""

    end_a: str = field(name="from")
    end_b: str = field(name="to")
    ohms_max: float | None = None


class Product(Struct, frozen=True, dict=True):
    """A part number's definition."""

    part: str
    revision: str
    name: str
    family: str
    source: str = "made"
    tracking: str = "serial"
    serial_pattern: str | None = None
    receipt_required: bool = False
    bom: tuple[BomLine, ...] = ()
    route: tuple[Step, ...] = ()
    characteristics: tuple[Characteristic, ...] = ()
    netlist: tuple[Wire, ...] = ()
    firmware: tuple[Firmware, ...] = ()

    @property
    def is_built(self) -> bool:
        """Whether it comes out of a route here."""
        return self.source == "made" and bool(self.route)

    @cached_property
    def lines(self) -> Mapping[str, BomLine]:
        """What each position wants."""
        return {position: line for line in self.bom for position in line.positions}

    @cached_property
    def steps(self) -> Mapping[str, Step]:
        """The route by name."""
        return {one.step: one for one in self.route}

    def required(self, step: Step) -> list[Characteristic]:
        """What a run of the step must report, wires apart."""
        return [one for one in self.characteristics if one.name in step.needs]

    def watch(self, name: str, position: str | None) -> Characteristic | None:
        """What telemetry of a name is watched by at a position, if it is."""
        named = [one for one in self.characteristics if one.name == name and one.beyond_s is not None]
        here = [one for one in named if one.position == position]
        return next(iter(here or [one for one in named if one.position is None]), None)

    def ready(self, passed: Collection[str]) -> list[Step]:
        """The steps that may be done next."""
        return [one for one in self.route if one.step not in passed and all(name in passed for name in one.after)]

    def onward(self, step: str) -> set[str]:
        """The step and all that come after it: what is done again when it is."""
        found = {step}
        for _ in self.route:
            found |= {one.step for one in self.route if found & set(one.after)}
        return found


class Catalog:
    """The newest revision of each part."""

    def __init__(self, documents: Iterable[Mapping[str, Any]]) -> None:
        read = [msgspec.convert(dict(one), Product) for one in documents]
        self.parts: Mapping[str, Product] = {one.part: one for one in sorted(read, key=lambda one: one.revision)}

    def __getitem__(self, part: str) -> Product:
        return self.parts[part]

    @property
    def built(self) -> list[Product]:
        """All that are built here, by part number."""
        return sorted((one for one in self.parts.values() if one.is_built), key=lambda one: one.part)

    def inside(self, part: str) -> dict[str, int]:
        """How many units are built for one of a part, itself included, by part number."""
        found = {part: 1}
        for line in self[part].bom:
            if self[line.part].is_built:
                for name, count in self.inside(line.part).items():
                    found[name] = found.get(name, 0) + count * len(line.positions)
        return found
