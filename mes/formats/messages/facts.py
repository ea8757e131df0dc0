"""What stations say: the `data` of each type of message that comes in.

Field names are the contract's. Fields that a struct doesn't know are ignored, so that newer stations can talk to an
older MES. Every time is in UTC once decoded.
"""

from decimal import Decimal
from functools import cached_property
from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta, Struct, field

from mes.formats.messages.digests import digest_of
from mes.formats.messages.samples import SamplesTaken
from mes.formats.messages.values import (
    PROGRAMMED,
    FreeText,
    Name,
    Path,
    Purpose,
    Serial,
    Text64,
    Text255,
    Time,
    UnitRef,
    Value,
    Wrong,
    check_programmed,
    check_quantity,
    check_serial,
    in_utc,
)

Outcome: TypeAlias = Literal["pass", "fail", "error", "aborted"]
RunOutcome: TypeAlias = Literal["pass", "fail", "error", "aborted", "skipped"]
MeasurementOutcome: TypeAlias = Literal["pass", "fail", "unset", "skipped"]
StationState: TypeAlias = Literal["idle", "running", "down", "offline"]
Number: TypeAlias = float | None


class StepStarted(Struct, frozen=True, omit_defaults=True):
    """A step of a unit's route begins; `run` is the station's own name for this attempt."""

    unit: UnitRef
    step: Text64
    at: Time
    run: Text255 | None = None
    operator: Text64 | None = None
    location: Text255 | None = None

    def __post_init__(self) -> None:
        in_utc(self, "at")


class StepCompleted(Struct, frozen=True, omit_defaults=True):
    """A step that measures nothing ended."""

    unit: UnitRef
    step: Text64
    at: Time
    outcome: Outcome
    run: Text255 | None = None
    operator: Text64 | None = None
    location: Text255 | None = None

    def __post_init__(self) -> None:
        in_utc(self, "at")


class Child(Struct, frozen=True, omit_defaults=True):
    """What is put into a position: one serialized part, or some of a lot.

    With neither `serial` nor `lot`, a quantity of the material that is loaded at the station.
    """

    part: Name
    serial: Serial | None = None
    lot: Name | None = None
    maker: Text64 | None = None
    quantity: Decimal | None = None

    def __post_init__(self) -> None:
        if self.serial is not None or self.lot is not None:
            _serial_or_lot(self.serial, self.lot)
        elif self.quantity is None:
            raise Wrong("name a serial or a lot, or a quantity of what is loaded at the station", "serial")
        check_quantity(self.quantity)


class PartInstalled(Struct, frozen=True, omit_defaults=True):
    """A child was put into a position of a parent."""

    parent: UnitRef
    position: Path
    child: Child
    at: Time
    operator: Text64 | None = None
    reason: FreeText | None = None

    def __post_init__(self) -> None:
        in_utc(self, "at")


class PartRemoved(PartInstalled, frozen=True, omit_defaults=True):
    """A child was taken out of a position of a parent."""


class Program(Struct, frozen=True, gc=False):
    """The test program that ran."""

    name: Text255
    version: Text255


class ReportedMeasurement(Struct, frozen=True, omit_defaults=True, gc=False):
    """One value as the station measured and judged it; `low` and `high` are the station's limits, inclusive."""

    name: Text255
    value: Value
    unit: Text64 | None = None
    low: Number = None
    high: Number = None
    outcome: MeasurementOutcome | None = None
    position: Path | None = None


class ReportedConnection(Struct, frozen=True, omit_defaults=True, gc=False):
    """Where a wire that starts at `end_a` should end (`end_b`) and where it was seen to end; `ohms` between them."""

    end_a: Text255 = field(name="from")
    end_b: Text255 = field(name="to")
    seen: Annotated[tuple[Text255, ...], Meta(max_length=1000)]
    ohms: Number = None


class Defect(Struct, frozen=True, omit_defaults=True, gc=False):
    """A fault that a person or program found."""

    code: Text64
    position: Path | None = None
    text: FreeText | None = None


class RunReported(Struct, frozen=True, omit_defaults=True, dict=True):
    """One attempt of a step with its values and the station's claim. It can't end before it started."""

    unit: UnitRef
    step: Text64
    started_at: Time
    ended_at: Time
    outcome: RunOutcome
    run: Text255 | None = None
    purpose: Purpose = "production"
    operator: Text64 | None = None
    fixture: Text64 | None = None
    program: Program | None = None
    measurements: Annotated[tuple[ReportedMeasurement, ...], Meta(max_length=10_000)] = ()
    connections: Annotated[tuple[ReportedConnection, ...], Meta(max_length=20_000)] = ()
    defects: Annotated[tuple[Defect, ...], Meta(max_length=10_000)] = ()

    def __post_init__(self) -> None:
        in_utc(self, "started_at", "ended_at")
        if self.ended_at < self.started_at:
            raise Wrong("a run can't end before it started", "ended_at")

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of all that it says (`digests.digest_of`)."""
        return digest_of(self)


class PartReceived(Struct, frozen=True, omit_defaults=True):
    """A bought unit (`serial`) or lot (`lot`) arrived."""

    part: Name
    at: Time
    serial: Serial | None = None
    lot: Name | None = None
    quantity: Decimal | None = None
    maker: Text64 | None = None
    date_code: Text64 | None = None

    def __post_init__(self) -> None:
        in_utc(self, "at")
        _serial_or_lot(self.serial, self.lot)
        check_quantity(self.quantity)


class MaterialLoaded(Struct, frozen=True, omit_defaults=True):
    """A lot was mounted at the station: installations that name no lot take it from here.

    A `place` (a feeder, a pump, a reel holder) holds one lot at a time; without a name there is one for each part
    number. `quantity`: how much was loaded.
    """

    part: Name
    lot: Name
    at: Time
    maker: Text64 | None = None
    quantity: Decimal | None = None
    place: Name | None = None
    operator: Text64 | None = None

    def __post_init__(self) -> None:
        in_utc(self, "at")
        check_quantity(self.quantity)


class MaterialUnloaded(MaterialLoaded, frozen=True, omit_defaults=True):
    """A lot was taken off the station, from one `place` or wherever it was. `quantity`: how much was left of it."""


class Identifier(Struct, frozen=True, gc=False):
    """Something printed on, or read from, a unit; kind: serial, maker serial, MAC, UUID …"""

    kind: Text64
    value: Annotated[str, Meta(min_length=1, max_length=255, description=f"What it says, {PROGRAMMED}")]

    def __post_init__(self) -> None:
        if self.kind == "serial":
            check_serial(self.value, "value")
        check_programmed(self.value, "value")


class UnitIdentified(Struct, frozen=True):
    """A unit got identifiers, at the time of the message."""

    unit: UnitRef
    identifiers: Annotated[tuple[Identifier, ...], Meta(min_length=1, max_length=1000)]


class UnitPacked(Struct, frozen=True, omit_defaults=True):
    """A unit was packed, perhaps into a container."""

    unit: UnitRef
    at: Time
    into: Text255 | None = None

    def __post_init__(self) -> None:
        in_utc(self, "at")


class UnitShipped(Struct, frozen=True, omit_defaults=True):
    """A unit left the floor."""

    unit: UnitRef
    at: Time
    order: Text255 | None = None
    to: Text255 | None = None

    def __post_init__(self) -> None:
        in_utc(self, "at")


class InventoryItem(Struct, frozen=True, omit_defaults=True):
    """What one device in a unit says of itself; a slot that was read as empty has neither part nor serial.

    `firmware` is a version, or versions by name. What unprogrammed hardware reports is allowed: it matches nothing.
    """

    position: Text255
    part: Text255 | None = None
    serial: Annotated[str, Meta(max_length=255)] | None = None
    firmware: Text255 | Annotated[dict[Text255, Text255], Meta(max_length=1000)] | None = None
    kind: Text64 | None = None


class InventoryRead(Struct, frozen=True, omit_defaults=True):
    """What electronics say is in a unit: as items, or as Redfish resources by their odata ids."""

    unit: UnitRef
    at: Time
    run: Text255 | None = None
    items: Annotated[tuple[InventoryItem, ...], Meta(max_length=20_000)] = ()
    redfish: Annotated[dict[str, Any], Meta(max_length=20_000)] | None = None

    def __post_init__(self) -> None:
        in_utc(self, "at")
        if bool(self.items) == bool(self.redfish):
            raise Wrong("send either items or Redfish resources", "items")


class StationStatus(Struct, frozen=True, omit_defaults=True):
    """What a station is doing since when. A last `will` was written at connect: its moment is its arrival."""

    state: StationState
    since: Time
    reason: FreeText | None = None
    will: bool = False

    def __post_init__(self) -> None:
        in_utc(self, "since")


class StepAsked(Struct, frozen=True, omit_defaults=True):
    """May this step begin? `after` names messages that the answer must take into account."""

    unit: UnitRef
    step: Text64
    parts: Annotated[tuple[Child, ...], Meta(max_length=1000)] = ()
    after: Annotated[tuple[Text255, ...], Meta(max_length=1000)] = ()


Fact: TypeAlias = (
    StepStarted
    | StepCompleted
    | PartInstalled
    | PartRemoved
    | RunReported
    | SamplesTaken
    | PartReceived
    | MaterialLoaded
    | MaterialUnloaded
    | UnitIdentified
    | UnitPacked
    | UnitShipped
    | InventoryRead
)


def _serial_or_lot(serial: str | None, lot: str | None) -> None:
    if (serial is None) == (lot is None):
        raise Wrong("name either a serial or a lot", "serial")
    if serial is not None:
        check_serial(serial, "serial")
