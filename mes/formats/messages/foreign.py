"""Reports of other people's testers on the wire: read into the same `RunReported` that our own stations send.

Each type is what the tester wrote, with the unit and step it belongs to beside it. The message keeps its body as it
came; what the record knows is the run that was read from it, and notes of what has no place in a run.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct, field

from mes.domain.facts import ERROR, PASS
from mes.domain.limits import Measurement
from mes.domain.refusals import Reason, reason
from mes.formats import cable_report, openhtf
from mes.formats.foreign_run import NOT_ALL_SEEN, ForeignRun, Reading
from mes.formats.messages.facts import ReportedMeasurement, RunReported
from mes.formats.messages.mending import mend
from mes.formats.messages.values import Purpose, Text64, Text255, UnitRef, Wrong, unit_ref
from mes.formats.ocptv import Recording
from mes.formats.ocptv.recording import LINES_MAX


class Unfit(ValueError):  # noqa: N818 - it is the report that does not fit
    """A report can't be read as a run. Carries every reason that its reader found."""

    def __init__(self, reasons: tuple[Reason, ...]) -> None:
        super().__init__("; ".join(one.text for one in reasons))
        self.reasons = reasons


class ForeignRunReported(RunReported, frozen=True, omit_defaults=True, dict=True):
    """A run read from another format; `notes` are what that format says beside it, for people to read.

    `doubts` say why its claim of pass can't be believed, `cuts` what came and is not among its values, `known_as` how
    the tester calls measurements that were renamed, for another has their name. `tells_of` is how the report calls its
    unit where the message names another.
    """

    notes: dict[str, Any] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()
    cuts: tuple[str, ...] = ()
    known_as: dict[str, str] = field(default_factory=dict)
    tells_of: str | None = None


class ForeignReport(Struct, frozen=True, omit_defaults=True):
    """What every such report says in our words. `run` defaults to the name that the report gives itself."""

    step: Text64
    unit: UnitRef | None = None
    run: Text255 | None = None
    purpose: Purpose = "production"
    operator: Text64 | None = None
    fixture: Text64 | None = None

    def told(self, data: bytes, at: datetime) -> RunReported:
        """The run that the report tells of; `data` is all of it, `at` when it was sent. Raises Unfit."""
        reading = self._read(data, at)
        if reading.run is None:
            raise Unfit(reading.reasons)
        return _reported(self, reading.run)

    def _read(self, data: bytes, at: datetime) -> Reading:
        raise NotImplementedError


class OpenHtfRecord(ForeignReport, frozen=True, omit_defaults=True):
    """An OpenHTF test record with `step`, and `unit` where its `dut_id` is not the unit's serial."""

    dut_id: Annotated[str, Meta(max_length=255)] | None = None

    def _read(self, data: bytes, at: datetime) -> Reading:
        return openhtf.read(msgspec.json.decode(data))


class CableReport(ForeignReport, frozen=True, omit_defaults=True, kw_only=True):
    """A cable tester's CSV report. Its run is as of the message's time: the date in it has no zone."""

    text: Annotated[str, Meta(min_length=1)]

    def _read(self, data: bytes, at: datetime) -> Reading:
        return cable_report.read(self.text, at)


class RunOfLines(Struct, frozen=True, omit_defaults=True):
    """Which run a program tells of while it goes on. `run` is the station's own name for it."""

    unit: UnitRef
    step: Text64
    run: Text255
    purpose: Purpose = "production"
    operator: Text64 | None = None
    fixture: Text64 | None = None


class OcptvLines(RunOfLines, frozen=True, omit_defaults=True, kw_only=True):
    """Lines of OCP Test & Validation output, as objects or texts: some of a run, or all of them.

    They may overlap with those of other messages and come in any order: (run, sequenceNumber) identifies a line.
    `broken_off` tells in words that the program ended with the last of these lines, without the end of its run.
    """

    lines: Annotated[list[Any], Meta(min_length=1, max_length=LINES_MAX)]
    broken_off: Annotated[str, Meta(min_length=1, max_length=255)] | None = None

    def __post_init__(self) -> None:
        """Refuses what is no version 2 by its name, and what holds no line at all."""
        recording = Recording()
        recording.feed(self.lines)
        if refused := recording.refusal:
            raise Wrong(refused.text.removeprefix("data.lines: ").removesuffix("."), "lines")
        if not recording.lines:
            raise Wrong(recording.nothing, "lines")


FOREIGN: Final[Mapping[str, Mapping[str, type[Struct]]]] = {
    "run/openhtf": {"com.google.openhtf.record": OpenHtfRecord},
    "run/ocptv": {"org.opencompute.ocptv": OcptvLines},
    "run/cable-report": {"mes.cable.report": CableReport},
}
"""What testers that know nothing of the MES may say, by kind of topic."""


def recorded_run(about: RunOfLines, run: ForeignRun) -> ForeignRunReported:
    """The run that a program's lines tell of, as our own stations would report it.

    It is on the record line by line already, so it is never refused: a measurement that breaks a limit of ours is left
    out, and said so. What breaks one even then is told without its values, and did not pass. The wire knows no run that
    was interrupted, so its claim is put in last.
    """
    try:
        return _claiming(run.outcome, _reported(about, run._replace(outcome=ERROR)))
    except Unfit as unfit:
        why = unfit.reasons
    mended = _without_unfit(run, why)
    try:
        return _claiming(run.outcome, _reported(about, mended._replace(outcome=ERROR)))
    except Unfit as unfit:
        why = unfit.reasons
    notes = {"format": "ocptv", "problems": [*run.notes.get("problems", ()), *(one.text for one in why)]}
    bare = ForeignRun(run.started_at, run.ended_at, ERROR, notes=notes)
    return _claiming(ERROR if run.outcome == PASS else run.outcome, _reported(about, bare))


def _claiming(outcome: str, made: ForeignRunReported) -> ForeignRunReported:
    return msgspec.structs.replace(made, outcome=outcome)


def _without_unfit(run: ForeignRun, why: Iterable[Reason]) -> ForeignRun:
    """The run without the measurements that break a limit of ours, which it says."""
    fit = tuple(one for one in run.measurements if _is_fit(one))
    lost = len(run.measurements) - len(fit)
    text = f"Measurements were left out, {lost} of {len(run.measurements)}: {' '.join(one.text for one in why)}"
    return run._replace(
        measurements=fit,
        notes=run.notes | {"problems": [text, *run.notes.get("problems", ())]},
        doubts=(*run.doubts, f"{NOT_ALL_SEEN} {text}") if run.outcome == PASS else run.doubts,
        cuts=(*run.cuts, text),
    )


def _is_fit(one: Measurement) -> bool:
    try:
        msgspec.convert(one._asdict(), ReportedMeasurement)
    except msgspec.ValidationError:
        return False
    return True


def _reported(report: ForeignReport | RunOfLines, run: ForeignRun) -> ForeignRunReported:
    """The run as our own stations would report it, held to the same limits."""
    plain = {
        "unit": report.unit or _unit(run.unit),
        "step": report.step,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "outcome": run.outcome,
        "run": report.run or run.run,
        "purpose": report.purpose,
        "operator": report.operator,
        "fixture": report.fixture,
        "program": dict(zip(("name", "version"), run.program, strict=True)) if run.program else None,
        "measurements": [one._asdict() for one in run.measurements],
        "connections": [
            {"from": one.end, "to": one.expected, "seen": one.seen, "ohms": one.ohms} for one in run.connections
        ],
        "defects": [one._asdict() for one in run.defects],
        "notes": run.notes,
        "doubts": run.doubts,
        "cuts": run.cuts,
        "known_as": run.known_as,
        "tells_of": run.unit if report.unit and run.unit != report.unit.serial else None,
    }
    try:
        return msgspec.convert(plain, ForeignRunReported)
    except msgspec.ValidationError as error:
        body = msgspec.json.encode(plain, enc_hook=repr)
        raise Unfit((mend(error, body, ForeignRunReported, "data").as_reason(),)) from error


def _unit(named: str | None) -> UnitRef:
    """The unit by what the report calls it."""
    if named is None:
        raise Unfit((_missing_unit(),))
    try:
        return unit_ref(named)
    except Wrong as wrong:
        text = f"data.unit: it is missing, and the report calls its unit {named[:64]!r}: {wrong.text}."
        raise Unfit((Reason(wrong.code, text, {"field": "data.unit"}),)) from wrong


def _missing_unit() -> Reason:
    return reason("unreadable", "data.unit: it is missing, and the report names no unit.", field="data.unit")
