"""What a station says most, each in one call."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from msgspec import Struct

from mes.formats.messages import (
    Child,
    Defect,
    Identifier,
    MaterialLoaded,
    MaterialUnloaded,
    PartInstalled,
    PartReceived,
    PartRemoved,
    Program,
    ReportedConnection,
    ReportedMeasurement,
    RunReported,
    StepCompleted,
    StepStarted,
    UnitIdentified,
    UnitPacked,
    UnitRef,
    UnitShipped,
)
from stations.wording import moment


def serialized(part: str, serial: str, maker: str | None = None) -> Child:
    """A part with a serial of its own."""
    return Child(part, serial=serial, maker=maker)


def of_lot(part: str, lot: str, quantity: Decimal | float | int | None = None, maker: str | None = None) -> Child:
    """Some of a lot: how many, or metres, kilograms … as the bill of materials counts it."""
    return Child(part, lot=lot, quantity=_amount(quantity), maker=maker)


def of_loaded(part: str, quantity: Decimal | float | int, maker: str | None = None) -> Child:
    """Some of what is loaded at the station: the MES knows of which lot, see `Facts.load`."""
    return Child(part, quantity=_amount(quantity), maker=maker)


def unit_ref(unit: str | UnitRef) -> UnitRef:
    """A unit by its serial, or by serial and part where a serial alone is ambiguous."""
    return unit if isinstance(unit, UnitRef) else UnitRef(unit)


class Facts(ABC):
    """Calls that post one fact each and return its message's id; times default to now."""

    @abstractmethod
    def post(
        self, data: Struct, *, at: datetime | None = None, id: str | None = None, traceparent: str | None = None
    ) -> str:
        """Say a fact."""

    def start(
        self,
        unit: str | UnitRef,
        step: str,
        *,
        at: datetime | None = None,
        run: str | None = None,
        operator: str | None = None,
    ) -> str:
        """A step begins; `run` is the station's own name for this attempt."""
        return self.post(StepStarted(unit_ref(unit), step, moment(at), run, operator))

    def complete(
        self,
        unit: str | UnitRef,
        step: str,
        outcome: Any = "pass",
        *,
        at: datetime | None = None,
        run: str | None = None,
        operator: str | None = None,
    ) -> str:
        """A step that measures nothing ended: pass, fail, error, aborted."""
        return self.post(StepCompleted(unit_ref(unit), step, moment(at), outcome, run, operator))

    def install(
        self,
        parent: str | UnitRef,
        position: str,
        child: Child,
        *,
        at: datetime | None = None,
        operator: str | None = None,
    ) -> str:
        """A part, or some of a lot, was put into a position."""
        return self.post(PartInstalled(unit_ref(parent), position, child, moment(at), operator))

    def remove(
        self,
        parent: str | UnitRef,
        position: str,
        child: Child,
        *,
        at: datetime | None = None,
        operator: str | None = None,
        reason: str | None = None,
    ) -> str:
        """A part, or some of a lot, was taken out of a position."""
        return self.post(PartRemoved(unit_ref(parent), position, child, moment(at), operator, reason))

    def report(
        self,
        unit: str | UnitRef,
        step: str,
        started_at: datetime,
        ended_at: datetime,
        outcome: Any,
        *,
        run: str | None = None,
        measurements: Iterable[ReportedMeasurement] = (),
        connections: Iterable[ReportedConnection] = (),
        defects: Iterable[Defect] = (),
        purpose: Any = "production",
        operator: str | None = None,
        fixture: str | None = None,
        program: Program | None = None,
    ) -> str:
        """An attempt ended, with its values and the station's own verdict. The MES judges for itself."""
        return self.post(
            RunReported(
                unit_ref(unit),
                step,
                moment(started_at, "started_at"),
                moment(ended_at, "ended_at"),
                outcome,
                run=run,
                purpose=purpose,
                operator=operator,
                fixture=fixture,
                program=program,
                measurements=tuple(measurements),
                connections=tuple(connections),
                defects=tuple(defects),
            )
        )

    def load(
        self,
        part: str,
        lot: str,
        *,
        maker: str | None = None,
        quantity: Decimal | float | int | None = None,
        place: str | None = None,
        at: datetime | None = None,
        operator: str | None = None,
    ) -> str:
        """A lot was mounted: what is installed `of_loaded` comes from it until it is unloaded or another is loaded.

        `place` names a feeder, where the station has several for one part number.
        """
        return self.post(MaterialLoaded(part, lot, moment(at), maker, _amount(quantity), place, operator))

    def unload(
        self,
        part: str,
        lot: str,
        *,
        maker: str | None = None,
        left: Decimal | float | int | None = None,
        place: str | None = None,
        at: datetime | None = None,
        operator: str | None = None,
    ) -> str:
        """A lot was taken off, from one `place` or wherever it was; `left`: how much was left of it."""
        return self.post(MaterialUnloaded(part, lot, moment(at), maker, _amount(left), place, operator))

    def receive(self, child: Child, *, at: datetime | None = None, date_code: str | None = None) -> str:
        """A bought part, or some of a lot, arrived."""
        said = PartReceived(
            child.part, moment(at), child.serial, child.lot, child.quantity, child.maker, date_code=date_code
        )
        return self.post(said)

    def identify(self, unit: str | UnitRef, identifiers: Iterable[tuple[str, str]]) -> str:
        """What is printed on a unit or read from it: kind (MAC, UUID, maker serial …) and value of each."""
        return self.post(UnitIdentified(unit_ref(unit), tuple(Identifier(kind, value) for kind, value in identifiers)))

    def pack(self, unit: str | UnitRef, *, into: str | None = None, at: datetime | None = None) -> str:
        """A unit was packed."""
        return self.post(UnitPacked(unit_ref(unit), moment(at), into))

    def ship(
        self, unit: str | UnitRef, *, order: str | None = None, to: str | None = None, at: datetime | None = None
    ) -> str:
        """A unit left the floor."""
        return self.post(UnitShipped(unit_ref(unit), moment(at), order, to))


def _amount(quantity: Decimal | float | int | None) -> Decimal | None:
    try:
        return None if quantity is None else Decimal(str(quantity))
    except InvalidOperation as error:
        raise ValueError(f"quantity: {quantity!r:.80} is no number") from error
