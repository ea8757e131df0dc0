"""What the lines of a run tell so far: its steps, measurements, series, diagnoses and errors, and its end if it came.

The run's outcome is the diagnostic's claim. A measurement's outcome is what its validators say of its value, evaluated
here: the diagnostic's own claim need not agree with them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from mes.domain.facts import ERROR, FAIL, INTERRUPTED, PASS, SKIPPED
from mes.domain.identity import check_path
from mes.domain.run import Defect
from mes.formats.foreign_run import CODE_MAX, NAME_MAX, NOT_ALL_SEEN, TEXT_MAX, ForeignRun, notable, short
from mes.formats.ocptv.lines import ELEMENT, Element, Line, element_of
from mes.formats.ocptv.measured import Measured, kept
from mes.formats.ocptv.series import Series

OUTCOMES: Final = {
    ("COMPLETE", "PASS"): PASS,
    ("COMPLETE", "FAIL"): FAIL,
    ("ERROR", "NOT_APPLICABLE"): ERROR,
    ("SKIP", "NOT_APPLICABLE"): SKIPPED,
}
"""The legal ends of a run."""


@dataclass
class DiagStep:
    """One step of the diagnostic; without an `ended_at` it still runs, or never ended."""

    name: str
    started_at: datetime | None = None
    ended_at: datetime | None = None
    status: str | None = None


@dataclass
class Snapshot:
    """A run as far as its lines tell. `problems` are sentences for people: what is odd, but no reason to refuse it.

    `hiding` are the numbers of lines that came and can't be read, though a measured value may have been in them.
    `gaps` are the numbers of those that did not come: first and last of each stretch. `left_out` says in sentences
    which values were not looked at.
    """

    started_at: datetime | None = None
    ended_at: datetime | None = None
    first_at: datetime | None = None
    last_at: datetime | None = None
    start: dict[str, Any] = field(default_factory=dict)
    end: dict[str, Any] = field(default_factory=dict)
    steps: dict[str, DiagStep] = field(default_factory=dict)
    measured: list[Measured] = field(default_factory=list)
    series: dict[tuple[str, str], Measured] = field(default_factory=dict)
    strays: dict[tuple[str, str], int] = field(default_factory=dict)
    """The first line of each series that never started."""
    diagnoses: list[dict[str, Any]] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)
    hiding: list[int] = field(default_factory=list)
    gaps: Sequence[tuple[int, int]] = ()
    left_out: list[str] = field(default_factory=list)

    def take(self, line: Line) -> None:
        """Take in the next line that keeps the schema, in the order of their numbers."""
        self.first_at = self.first_at or line.at
        self.last_at = line.at
        take = _TAKERS.get(line.artifact)
        if take:
            take(self, line)

    def take_element(self, element: Element) -> None:
        """Take in the next line, of which nothing is known but that it is a value of a series."""
        self.first_at = self.first_at or element.at
        self.last_at = element.at
        one = self.series.get((element.step, element.series))
        if one is None or one.series is None:
            self.strays.setdefault((element.step, element.series), element.number)
        else:
            one.series.add(element.ordinal, element.value, element.measured_at)

    def _doubts(self, left_out: Sequence[str]) -> Iterator[str]:
        """Why a claim of pass can't be believed, as sentences for people."""
        if self.outcome != PASS:
            return
        if self.hiding:
            shown = ", ".join(map(str, self.hiding[:5])) + (" …" if len(self.hiding) > 5 else "")
            where = f"line{'s' if len(self.hiding) > 1 else ''} {shown}"
            yield f"The diagnostic claims a pass; a measured value may have been in {where}, which can't be read."
        if self.gaps:
            yield f"The diagnostic claims a pass; a measured value may have been in {missing(self.gaps)}."
        for text in left_out:
            yield f"{NOT_ALL_SEEN} {text}"

    @property
    def outcome(self) -> str:
        """The diagnostic's claim on our scale.

        An end that the format does not allow is the diagnostic's error, as is a pass of what never started.
        """
        if not self.end:
            return INTERRUPTED
        if not self.start and self.end["result"] == "PASS":
            return ERROR
        return OUTCOMES.get((self.end["status"], self.end["result"]), ERROR)

    @property
    def hardware(self) -> dict[str, dict[str, Any]]:
        """What the diagnostic says of the hardware under test, by its local id."""
        infos = self.start.get("dutInfo", {}).get("hardwareInfos")
        listed = [one for one in infos if isinstance(one, dict)] if isinstance(infos, list) else []
        return {one["hardwareInfoId"]: one for one in listed if isinstance(one.get("hardwareInfoId"), str)}

    def position(self, content: dict[str, Any]) -> str | None:
        """Where a measurement or diagnosis belongs: the location of its hardware, or failing that its serial."""
        hardware = self.hardware.get(str(content.get("hardwareInfoId")), {})
        part = content.get("subcomponent")
        below = part.get("location") if isinstance(part, dict) else None
        location, serial = hardware.get("location"), hardware.get("serialNumber")
        candidates = (f"{location}/{below}" if location and below else None, location, serial)
        return next((one for one in candidates if isinstance(one, str) and not check_path(one)), None)

    def as_run(self, ended_at: datetime | None = None) -> ForeignRun | None:
        """The run; None before any of its lines came. One without an end ends at `ended_at`, or with its last line.

        One whose start did not come began with its first line.
        """
        began = self.started_at or self.first_at
        if began is None:
            return None
        program = short(self.start.get("name", ""), NAME_MAX), short(self.start.get("version", ""), NAME_MAX)
        holds = kept(self.measured, self.position)
        left_out = (*self.left_out, *holds.left_out)
        return ForeignRun(
            began,
            max(began, self.ended_at or ended_at or self.last_at or began),
            self.outcome,
            program=program if all(program) else None,
            measurements=holds.measurements,
            defects=tuple(_defects(self)),
            notes=_notes(self),
            doubts=tuple(self._doubts(left_out)),
            cuts=(*left_out, *holds.thinned),
            known_as=holds.known_as,
        )

    @property
    def problems(self) -> list[str]:
        """Where what was told does not agree with itself, as sentences for people."""
        return [*_of_series(self), *_of_end(self)]


def missing(gaps: Sequence[tuple[int, int]]) -> str:
    """Lines that did not come, for people."""
    shown = ", ".join(f"{first}-{last}" if last > first else str(first) for first, last in gaps[:5])
    return f"lines that are missing: {shown}{' …' if len(gaps) > 5 else ''}"


def _start(told: Snapshot, line: Line) -> None:
    if told.started_at is None:
        told.started_at, told.start = line.at, line.content


def _end(told: Snapshot, line: Line) -> None:
    if not told.end:
        told.ended_at, told.end = line.at, line.content


def _step(told: Snapshot, line: Line) -> DiagStep:
    return told.steps.setdefault(line.step or "", DiagStep(line.step or ""))


def _step_start(told: Snapshot, line: Line) -> None:
    step = _step(told, line)
    step.name, step.started_at = line.content["name"], line.at


def _step_end(told: Snapshot, line: Line) -> None:
    step = _step(told, line)
    step.status, step.ended_at = line.content["status"], line.at


def _measurement(told: Snapshot, line: Line) -> None:
    content, at = line.content, line.at
    assert at
    told.measured.append(Measured(content["name"], _step(told, line).name, content, at, content["value"]))


def _series_start(told: Snapshot, line: Line) -> None:
    assert line.at
    one = Measured(line.content["name"], _step(told, line).name, line.content, line.at, series=Series())
    told.series[line.step or "", line.content["measurementSeriesId"]] = one
    told.measured.append(one)


def _series_end(told: Snapshot, line: Line) -> None:
    series = told.series.get((line.step or "", line.content["measurementSeriesId"]))
    if series:
        series.total = line.content["totalCount"]


_TAKERS: Final[dict[str, Callable[[Snapshot, Line], None]]] = {
    "testRunStart": _start,
    "testRunEnd": _end,
    "testStepStart": _step_start,
    "testStepEnd": _step_end,
    "measurement": _measurement,
    "measurementSeriesStart": _series_start,
    ELEMENT: lambda told, line: told.take_element(element_of(line)),
    "measurementSeriesEnd": _series_end,
    "diagnosis": lambda told, line: told.diagnoses.append(line.content),
    "error": lambda told, line: told.errors.append(line.content),
}


def _of_series(told: Snapshot) -> Iterator[str]:
    for (_, id), number in told.strays.items():
        yield f"Line {number} belongs to the series {id[:60]}, which never started."
    for (_, id), one in told.series.items():
        count = len(one.series or ())
        if one.total is not None and one.total != count:
            yield f"The series {id[:60]} has {count} values of {str(one.total)[:20]}."


def _of_end(told: Snapshot) -> Iterator[str]:
    if told.end and not told.start:
        yield "No testRunStart came."
    if told.end and (told.end["status"], told.end["result"]) not in OUTCOMES:
        yield f"The run ended with {told.end['status']} and {told.end['result']}, which is no end."
    for step in told.steps.values():
        if told.outcome == PASS and step.status == "ERROR":
            yield f"The step {step.name[:60]} ended with ERROR and the run with PASS."
    for step in told.steps.values():
        if told.end and step.started_at and not step.status:
            yield f"The step {step.name[:60]} has no end."


def _defects(told: Snapshot) -> Iterator[Defect]:
    """Diagnoses that failed, and errors that the diagnostic told of."""
    for one in told.diagnoses:
        if one["type"] == "FAIL":
            text = short(one.get("message") or "", TEXT_MAX) or None
            yield Defect(short(one["verdict"], CODE_MAX) or "FAIL", told.position(one), text)
    for one in told.errors:
        text = short(one.get("message") or "", TEXT_MAX) or None
        yield Defect(short(one["symptom"], CODE_MAX) or "ERROR", None, text)


def _notes(told: Snapshot) -> dict[str, Any]:
    notes = {
        "format": "ocptv",
        "dut": told.start.get("dutInfo"),
        "command": told.start.get("commandLine"),
        "parameters": told.start.get("parameters"),
        "metadata": told.start.get("metadata"),
        "steps": [{"name": one.name, "status": one.status} for one in told.steps.values()],
        "diagnoses": [{"verdict": one["verdict"], "type": one["type"]} for one in told.diagnoses],
    }
    return {name: notable(value) for name, value in notes.items() if value}
