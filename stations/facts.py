"""What a station says most, each in one call."""

from abc import abstractmethod
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from msgspec import Struct

from mes.formats.messages import (
    Child,
    PartInstalled,
    PartRemoved,
    Program,
    ReportedConnection,
    ReportedMeasurement,
    RunReported,
    StepCompleted,
    StepStarted,
    UnitRef,
)


def serialized(part: str, serial: str, maker: str | None = None) -> Child:
    """A part with a serial of its own."""
    return Child(part, serial=serial, maker=maker)


def of_lot(part: str, lot: str, quantity: Decimal | float | int | None = None, maker: str | None = None) -> Child:
    """Some of a lot: how many, or metres, kilograms … as the bill of materials counts it."""
    return Child(part, lot=lot, quantity=None if quantity is None else Decimal(str(quantity)), maker=maker)


class Facts:
    """Calls that post one fact each and return its message's id; times default to now."""

    @abstractmethod
    def post(self, data: Struct, *, at: datetime | None = None, id: str | None = None) -> str:
        """Say a fact."""

    def start(
        self, unit: str, step: str, *, at: datetime | None = None, run: str | None = None, operator: str | None = None
    ) -> str:
        """A step begins; `run` is the station's own name for this attempt."""
        return self.post(StepStarted(UnitRef(unit), step, at or _now(), run, operator))

    def complete(
        self,
        unit: str,
        step: str,
        outcome: Any = "pass",
        *,
        at: datetime | None = None,
        run: str | None = None,
        operator: str | None = None,
    ) -> str:
        """A step that measures nothing ended: pass, fail, error, aborted."""
        return self.post(StepCompleted(UnitRef(unit), step, at or _now(), outcome, run, operator))

    def install(
        self, parent: str, position: str, child: Child, *, at: datetime | None = None, operator: str | None = None
    ) -> str:
        """A part, or some of a lot, was put into a position."""
        return self.post(PartInstalled(UnitRef(parent), position, child, at or _now(), operator))

    def remove(
        self,
        parent: str,
        position: str,
        child: Child,
        *,
        at: datetime | None = None,
        operator: str | None = None,
        reason: str | None = None,
    ) -> str:
        """A part, or some of a lot, was taken out of a position."""
        return self.post(PartRemoved(UnitRef(parent), position, child, at or _now(), operator, reason))

    def report(
        self,
        unit: str,
        step: str,
        started_at: datetime,
        ended_at: datetime,
        outcome: Any,
        *,
        run: str | None = None,
        measurements: Iterable[ReportedMeasurement] = (),
        connections: Iterable[ReportedConnection] = (),
        operator: str | None = None,
        program: Program | None = None,
    ) -> str:
        """An attempt ended, with its values and the station's own verdict. The MES judges for itself."""
        return self.post(
            RunReported(
                UnitRef(unit),
                step,
                started_at,
                ended_at,
                outcome,
                run=run,
                operator=operator,
                program=program,
                measurements=tuple(measurements),
                connections=tuple(connections),
            )
        )


def _now() -> datetime:
    return datetime.now(UTC)
