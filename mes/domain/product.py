"""A product definition: what a part number is made of, how it is built and how it is judged.

A definition is one immutable document per (part, revision). It is read from YAML or JSON by
`mes.formats.product_document`, checked by `mes.domain.product_check`, stored by its digest, and never changed: units
and runs point at the definition that they were judged by.
"""

from dataclasses import dataclass
from decimal import Decimal

FAMILIES = ("rack", "cabling", "power", "thermal", "networking", "compute", "component")
SOURCES = ("made", "bought")
TRACKINGS = ("serial", "lot", "bulk")
ON_NO_ANSWER = ("stop", "go_on")
NETLIST = "netlist"
"""The reserved need: a step with it in `needs` tests the product's whole netlist."""


@dataclass(frozen=True, slots=True)
class Alternate:
    """A part approved in place of a BOM line's own; with `maker`, only that maker's."""

    part: str
    maker: str | None = None


@dataclass(frozen=True, slots=True)
class BomLine:
    """One child part and the positions of the parent that it fills.

    `quantity` is per position (1 for serialized parts). `retest_from` names the route step from which the parent is
    tested again when what fills one of these positions is taken out.
    """

    positions: tuple[str, ...]
    part: str
    alternates: tuple[Alternate, ...] = ()
    quantity: Decimal = Decimal(1)
    retest_from: str | None = None

    def approves(self, part: str, maker: str | None) -> bool:
        """Whether a part (of a maker, where known) may fill these positions."""
        return part == self.part or any(
            alternate.part == part and alternate.maker in (None, maker) for alternate in self.alternates
        )


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the route, done at one kind of station after all of `after` have passed.

    `needs` are characteristics that a run must report (`netlist`: every wire of it); `installs` are positions that
    must be filled when the step completes; `min_s` is its shortest honest duration in seconds; `attempts` how many
    failed production attempts are allowed before a disposition is needed (None: no limit); `on_no_answer` tells a
    station what to do when an ask is not answered (stop, go_on); `signed` steps need an operator's name.
    """

    step: str
    station_kind: str
    after: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    installs: tuple[str, ...] = ()
    min_s: float | None = None
    attempts: int | None = None
    on_no_answer: str = "stop"
    signed: bool = False


@dataclass(frozen=True, slots=True)
class Characteristic:
    """A measured property and what it must be: within inclusive limits in `unit`, or equal to a value.

    With `beyond_s` telemetry of that name is watched, too: it may lie beyond the limits for less than so many seconds.
    """

    name: str
    unit: str | None = None
    low: float | None = None
    high: float | None = None
    equals: str | float | bool | None = None
    position: str | None = None
    beyond_s: float | None = None


@dataclass(frozen=True, slots=True)
class Connection:
    """An undirected wire of a netlist between two endpoints, as `end_a` - `end_b`."""

    end_a: str
    end_b: str
    ohms_max: float | None = None
    length: str | None = None
    type: str | None = None


@dataclass(frozen=True, slots=True)
class Firmware:
    """The versions allowed of one firmware item, at a position or on every child of a kind."""

    name: str
    versions: tuple[str, ...]
    position: str | None = None
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class Definition:
    """One released revision of a part number."""

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
    netlist: tuple[Connection, ...] = ()
    firmware: tuple[Firmware, ...] = ()

    def step(self, name: str) -> Step | None:
        """The route step of that name, if the route has it."""
        return next((step for step in self.route if step.step == name), None)

    def line_at(self, position: str) -> BomLine | None:
        """The BOM line that fills a position, if the product has that position."""
        return next((line for line in self.bom if position in line.positions), None)
