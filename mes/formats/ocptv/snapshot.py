"""What the lines of a run tell so far: its steps, measurements, series, diagnoses and errors, and its end if it came.

The run's outcome is the diagnostic's claim. A measurement's outcome is what its validators say of its value, evaluated
here: the diagnostic's own claim need not agree with them.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from mes.domain.facts import ERROR, FAIL, INTERRUPTED, PASS, SKIPPED
from mes.domain.identity import check_path
from mes.domain.limits import Measurement
from mes.domain.run import Defect
from mes.formats.foreign_run import (
    CODE_MAX,
    MEASUREMENTS_MAX,
    NAME_MAX,
    TEXT_MAX,
    ForeignRun,
    notable,
    short,
    unit_of_measure,
)
from mes.formats.ocptv.lines import Line, moment
from mes.formats.ocptv.validators import limits, outcome

OUTCOMES: Final = {
    ("COMPLETE", "PASS"): PASS,
    ("COMPLETE", "FAIL"): FAIL,
    ("ERROR", "NOT_APPLICABLE"): ERROR,
    ("SKIP", "NOT_APPLICABLE"): SKIPPED,
}
"""The legal ends of a run."""
_UNITS: Final = {"F": "[degF]", "fahrenheit": "[degF]", "ghz": "GHz", "mhz": "MHz", "khz": "kHz", "hz": "Hz"}
"""Spellings that this format's diagnostics use. F is the degree Fahrenheit here, and not the farad."""


@dataclass
class DiagStep:
    """One step of the diagnostic; without an `ended_at` it still runs, or never ended."""

    name: str
    started_at: datetime | None = None
    ended_at: datetime | None = None
    status: str | None = None


@dataclass
class Measured:
    """One measurement, or a series with a moment per value. Values of a series are in the order of their index."""

    name: str
    step: str
    content: dict[str, Any]
    value: Any = None
    is_series: bool = False
    elements: dict[int, tuple[Any, datetime]] = field(default_factory=dict)

    @property
    def values(self) -> list[Any]:
        """The value, or those of the series."""
        return [self.elements[index][0] for index in sorted(self.elements)] if self.is_series else [self.value]

    @property
    def outcome(self) -> str | None:
        """What its validators say; None where it has none, or one of them can't be evaluated."""
        return outcome(self.content.get("validators"), self.values)


@dataclass
class Snapshot:
    """A run as far as its lines tell. `problems` are sentences for people: what is odd, but no reason to refuse it.

    `hiding` are the numbers of lines that came and can't be read, though a measured value may have been in them.
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
    diagnoses: list[dict[str, Any]] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    hiding: Sequence[int] = ()

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why a claim of pass can't be believed, as sentences for people."""
        if self.outcome != PASS or not self.hiding:
            return ()
        shown = ", ".join(map(str, self.hiding[:5])) + (" …" if len(self.hiding) > 5 else "")
        where = f"line{'s' if len(self.hiding) > 1 else ''} {shown}"
        return (f"The diagnostic claims a pass; a measured value may have been in {where}, which can't be read.",)

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

    def reported(self) -> tuple[Measurement, ...]:
        """The measurements, as many of them as a run may have."""
        return tuple(_measurements(self))[:MEASUREMENTS_MAX]

    def as_run(self, ended_at: datetime | None = None) -> ForeignRun | None:
        """The run; None before any of its lines came. One without an end ends at `ended_at`, or with its last line.

        One whose start did not come began with its first line.
        """
        began = self.started_at or self.first_at
        if began is None:
            return None
        program = short(self.start.get("name", ""), NAME_MAX), short(self.start.get("version", ""), NAME_MAX)
        return ForeignRun(
            began,
            max(began, self.ended_at or ended_at or self.last_at or began),
            self.outcome,
            program=program if all(program) else None,
            measurements=self.reported(),
            defects=tuple(_defects(self)),
            notes=_notes(self),
            doubts=self.doubts,
        )


def snapshot(lines: Sequence[Line], hiding: Sequence[int] = ()) -> Snapshot:
    """What lines that keep the schema tell, taken in their order; `hiding` as in a snapshot."""
    told = Snapshot(hiding=hiding)
    for line in lines:
        told.first_at = told.first_at or line.at
        told.last_at = line.at
        take = _TAKERS.get(line.artifact)
        if take:
            take(told, line)
    _check(told)
    return told


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
    content = line.content
    told.measured.append(Measured(content["name"], _step(told, line).name, content, content["value"]))


def _series_start(told: Snapshot, line: Line) -> None:
    one = Measured(line.content["name"], _step(told, line).name, line.content, is_series=True)
    told.series[line.step or "", line.content["measurementSeriesId"]] = one
    told.measured.append(one)


def _element(told: Snapshot, line: Line) -> None:
    id, index = line.content["measurementSeriesId"], line.content["index"]
    series = told.series.get((line.step or "", id))
    if series is None:
        told.problems.append(f"Line {line.number} belongs to the series {id[:60]}, which never started.")
    elif line.at:
        series.elements.setdefault(index, (line.content["value"], moment(line.content.get("timestamp")) or line.at))


def _series_end(told: Snapshot, line: Line) -> None:
    id, count = line.content["measurementSeriesId"], line.content["totalCount"]
    series = told.series.get((line.step or "", id))
    if series and len(series.elements) != count:
        told.problems.append(f"The series {id[:60]} has {len(series.elements)} values of {str(count)[:20]}.")


_TAKERS: Final[dict[str, Callable[[Snapshot, Line], None]]] = {
    "testRunStart": _start,
    "testRunEnd": _end,
    "testStepStart": _step_start,
    "testStepEnd": _step_end,
    "measurement": _measurement,
    "measurementSeriesStart": _series_start,
    "measurementSeriesElement": _element,
    "measurementSeriesEnd": _series_end,
    "diagnosis": lambda told, line: told.diagnoses.append(line.content),
    "error": lambda told, line: told.errors.append(line.content),
}


def _check(told: Snapshot) -> None:
    """Notes where the diagnostic's claim does not agree with what it told."""
    if told.end and not told.start:
        told.problems.append("No testRunStart came.")
    if told.end and (told.end["status"], told.end["result"]) not in OUTCOMES:
        told.problems.append(f"The run ended with {told.end['status']} and {told.end['result']}, which is no end.")
    if told.outcome == PASS:
        failed = [step.name[:60] for step in told.steps.values() if step.status == "ERROR"]
        told.problems += [f"The step {name} ended with ERROR and the run with PASS." for name in failed]
    if told.end:
        left = [step.name[:60] for step in told.steps.values() if step.started_at and not step.status]
        told.problems += [f"The step {name} has no end." for name in left]
    if len(told.measured) > MEASUREMENTS_MAX:
        told.problems.append(f"Measurements beyond the first {MEASUREMENTS_MAX} were left out.")


def _measurements(told: Snapshot) -> Iterator[Measurement]:
    """Those of all steps under names of their own; a name at one position in several steps is `step.name` in each."""
    placed = [(told.position(one.content), one) for one in told.measured]
    times = Counter((position, one.name) for position, one in placed)
    used = Counter[tuple[str | None, str]]()
    for position, one in placed:
        name = one.name if times[position, one.name] == 1 else f"{one.step}.{one.name}"
        name = short(name, NAME_MAX - 16) or "measurement"
        used[position, name] += 1
        count = used[position, name]
        yield from _as_measurements(one, f"{name}#{count}" if count > 1 else name, position)


def _as_measurements(one: Measured, name: str, position: str | None) -> Iterator[Measurement]:
    unit, given = one.content.get("unit"), limits(one.content.get("validators"))
    unit = unit_of_measure((_UNITS.get(unit, unit),)) if isinstance(unit, str) else None
    value = one.values if one.is_series else one.value
    yield Measurement(name, value, unit, given.low, given.high, one.outcome, position)
    if one.is_series and one.elements:
        moments = [one.elements[index][1] for index in sorted(one.elements)]
        offsets = [(at - moments[0]).total_seconds() for at in moments]
        yield Measurement(f"{name}.offset_s", offsets, "s", position=position)


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
