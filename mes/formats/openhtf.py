"""OpenHTF test records: one finished test of one device under test, as its framework writes it to JSON.

A record is a list of phases with measurements. Its limits are sentences for people (`1 <= x <= 4`): those that can be
understood are kept as the station's claim. Logs, code and the content of attachments are left out.
"""

import base64
import binascii
import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from mes.domain.facts import ABORTED, ERROR, FAIL, PASS, SKIPPED
from mes.domain.limits import UNSET, Measurement
from mes.domain.run import Defect
from mes.formats.fields import Fields, Problems, show
from mes.formats.foreign_run import (
    CODE_MAX,
    MEASUREMENTS_MAX,
    NAME_MAX,
    TEXT_MAX,
    ForeignRun,
    Reading,
    notable,
    numbered,
    short,
    unit_of_measure,
    unread,
)

OUTCOMES: Final = {"PASS": PASS, "FAIL": FAIL, "ERROR": ERROR, "TIMEOUT": ERROR, "ABORTED": ABORTED}
"""A test that ran out of time says nothing about the product."""
MEASUREMENT_OUTCOMES: Final = {
    "PASS": PASS,
    "FAIL": FAIL,
    "UNSET": UNSET,
    "PARTIALLY_SET": UNSET,
    "SKIPPED": SKIPPED,
}
PHASES_MAX: Final = 5000
ROWS_MAX: Final = 100_000
_DIMENSIONS_MAX: Final = 16
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLIS: Final = range(946_684_800_000, 7_258_118_400_000)  # the years 2000 to 2199
_CODES: Final = {
    "SEC": "s",
    "C26": "ms",
    "HTZ": "Hz",
    "VLT": "V",
    "2Z": "mV",
    "AMP": "A",
    "4K": "mA",
    "OHM": "Ohm",
    "WTT": "W",
    "CEL": "Cel",
    "KEL": "K",
    "P1": "%",
}
"""Codes of UN/ECE recommendation 20, for units that come without a suffix."""

_NUMBER = r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)"
_LIMITS: Final = (
    (re.compile(rf"{_NUMBER} <= x <= {_NUMBER}"), ("low", "high")),
    (re.compile(rf"{_NUMBER} <= x"), ("low",)),
    (re.compile(rf"x >= {_NUMBER}"), ("low",)),
    (re.compile(rf"x <= {_NUMBER}"), ("high",)),
    (re.compile(rf"{_NUMBER} >= x"), ("high",)),
    (re.compile(rf"x == {_NUMBER}"), ("both",)),
    (re.compile(rf"'x' is equal to '{_NUMBER}'"), ("both",)),
)


class _Limits(NamedTuple):
    low: float | None = None
    high: float | None = None


class _Measured(NamedTuple):
    """One measurement and the phase it was made in."""

    phase: str
    name: str
    measurement: Measurement


def read(record: Any) -> Reading:
    """The run of a record that was decoded from JSON. Times are UTC; the run's name is device and start time."""
    problems = Problems()
    fields = Fields(record, "data", problems)
    if not fields.is_object:
        return unread(problems)
    started, ended = _moment(fields, "start_time_millis"), _moment(fields, "end_time_millis")
    if started and ended and ended < started:
        fields.note("end_time_millis", "lies before start_time_millis; check the station's clock")
    outcome = _word(fields, "outcome", OUTCOMES)
    dut = fields.raw("dut_id")
    if dut is not None and not isinstance(dut, str):
        fields.note("dut_id", f"is {show(dut)}; give a text or null")
    phases = list(fields.objects("phases", PHASES_MAX))
    measurements, known_as = _measurements(phases)
    if len(measurements) > MEASUREMENTS_MAX:
        fields.note("phases", f"has {len(measurements)} measurements; at most {MEASUREMENTS_MAX} are allowed")
    defects = tuple(_defects(fields))
    notes = _notes(fields, phases)
    if problems or started is None or ended is None:
        return unread(problems)
    name = short(f"{dut}:{(started - _EPOCH) // timedelta(milliseconds=1)}", NAME_MAX) if dut else None
    program = _program(fields.raw("metadata"))
    run = ForeignRun(started, ended, outcome, name, dut, program, measurements, defects=defects, notes=notes)
    return Reading(run._replace(known_as=known_as))


def _moment(fields: Fields, field: str) -> datetime | None:
    value = fields.raw(field)
    millis = int(value) if isinstance(value, float) and value.is_integer() else value
    if type(millis) is not int or millis not in _MILLIS:
        fields.note(field, f"is {show(value)}; give milliseconds since 1970, from the year 2000 on")
        return None
    return _EPOCH + timedelta(milliseconds=millis)


def _word(fields: Fields, field: str, words: dict[str, str]) -> str:
    value = fields.raw(field)
    if not isinstance(value, str) or value not in words:
        fields.note(field, f"is {show(value)}; it must be one of {', '.join(words)}")
        return ""
    return words[value]


def _program(metadata: Any) -> tuple[str, str] | None:
    if not isinstance(metadata, dict) or not metadata.get("test_name"):
        return None
    return short(metadata["test_name"], NAME_MAX), short(metadata.get("test_version") or "unknown", NAME_MAX)


def _defects(fields: Fields) -> Iterator[Defect]:
    for detail in fields.objects("outcome_details", MEASUREMENTS_MAX):
        code = short(detail.raw("code") or "", CODE_MAX) or "unknown"
        yield Defect(code, None, short(detail.raw("description") or "", TEXT_MAX) or None)


def _measurements(phases: Iterable[Fields]) -> tuple[tuple[Measurement, ...], dict[str, str]]:
    """Those of all phases under names of their own; and of the renamed ones that count how the test calls them.

    A name that several phases measure is `phase.name` in each. A phase that was repeated measures under the same name
    again: the last time keeps the plain name, earlier ones are numbered and don't count.
    """
    measured = [one for phase in phases for one in _of_phase(phase)]
    phases_of: dict[str, set[str]] = {}
    for one in measured:
        phases_of.setdefault(one.name, set()).add(one.phase)
    called = [f"{one.phase}.{one.name}" if len(phases_of[one.name]) > 1 else one.name for one in measured]
    times, seen = Counter(called), Counter[str]()
    names = []
    for name in called:
        seen[name] += 1
        names.append(name if seen[name] == times[name] else f"{name} (try {seen[name]})")
    unique = list(numbered(short(name, NAME_MAX) for name in names))
    told = list(zip(measured, called, names, unique, strict=True))
    known_as = {own: one.name for one, name, last, own in told if name == last and own != one.name}
    return tuple(one.measurement._replace(name=own) for one, _, _, own in told), known_as


def _of_phase(phase: Fields) -> Iterator[_Measured]:
    name = short(phase.raw("name") or "phase", NAME_MAX)
    was_repeated = phase.raw("outcome") == "SKIP"
    measurements = phase.raw("measurements")
    if not isinstance(measurements, dict):
        if measurements is not None:
            phase.note("measurements", f"is {show(measurements)}; give an object")
        return
    for key, value in measurements.items():
        fields = Fields(value, f"{phase.place}.measurements.{short(key, 60)}", phase.problems)
        for one in _measurement(fields, short(key, NAME_MAX) or "measurement") if fields.is_object else ():
            # What a repeated phase measured did not count in the test's own outcome, so it must not in ours.
            kept = one._replace(outcome=SKIPPED) if was_repeated and one.value is not None else one
            yield _Measured(name, one.name, kept)


def _measurement(fields: Fields, name: str) -> Iterator[Measurement]:
    """A measurement; one with dimensions is its values in a list, and beside it a list of each dimension."""
    outcome = _word(fields, "outcome", MEASUREMENT_OUTCOMES)
    limits = _limits(fields.raw("validators"))
    unit = _unit(fields.raw("units"))
    value, dimensions = fields.raw("measured_value"), fields.raw("dimensions")
    if not isinstance(dimensions, list) or not dimensions or value is None:
        yield Measurement(name, _plain(fields, value), unit, limits.low, limits.high, outcome)
        return
    columns = _columns(fields, value, len(dimensions))
    if columns:
        yield Measurement(name, columns[-1], unit, limits.low, limits.high, outcome)
        titles = numbered(f"{name}.{_title(one)}" for one in dimensions)
        for title, one, column in zip(titles, dimensions, columns, strict=False):
            yield Measurement(title, column, _unit(one))


def _columns(fields: Fields, value: Any, dimensions: int) -> list[list[Any]]:
    """Rows of coordinates and a value, turned into one list per dimension and one of values."""
    width = dimensions + 1
    if dimensions > _DIMENSIONS_MAX:
        fields.note("dimensions", f"has {dimensions} items; at most {_DIMENSIONS_MAX} are allowed")
        return []
    if not isinstance(value, list) or len(value) > ROWS_MAX:
        fields.note("measured_value", f"is {show(value)}; give at most {ROWS_MAX} rows")
        return []
    for index, row in enumerate(value):
        if not isinstance(row, list) or len(row) != width or not all(map(_is_scalar, row)):
            fields.note(f"measured_value[{index}]", f"give a row of {width}: a place in each dimension, and the value")
            return []
    return [[row[at] for row in value] for at in range(width)]


def _title(dimension: Any) -> str:
    fields = dimension if isinstance(dimension, dict) else {"name": dimension}
    named = next((fields[key] for key in ("description", "name", "suffix", "code") if fields.get(key)), "dimension")
    return short(named, CODE_MAX).partition(" [")[0]


def _plain(fields: Fields, value: Any) -> Any:
    """A value as a measurement may have it: what JSON nests deeper is kept as its text."""
    if _is_scalar(value) or (isinstance(value, list) and len(value) <= ROWS_MAX and all(map(_is_scalar, value))):
        return value
    try:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    except RecursionError:
        text = " " * (TEXT_MAX + 1)
    if len(text) > TEXT_MAX:
        fields.note("measured_value", f"has more than {TEXT_MAX} characters; attach it as a file instead")
        return None
    return text


def _is_scalar(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, int):
        return abs(value) < 2**63
    return value is None or (isinstance(value, str) and len(value) <= TEXT_MAX)


def _unit(units: Any) -> str | None:
    """The unit of a descriptor {name, code, suffix}; the framework calls none `None`."""
    if isinstance(units, str):
        units = {"suffix": units}
    if not isinstance(units, dict):
        return None
    name = units.get("name")
    bare = name.partition(" [")[0] if isinstance(name, str) and name not in ("None", "No dimension") else None
    code = units.get("code")
    return unit_of_measure((units.get("suffix"), _CODES.get(code) if isinstance(code, str) else None, bare))


def _limits(validators: Any) -> _Limits:
    """The narrowest limits that the sentences agree on; sentences of other kinds say nothing here."""
    lows, highs = [-math.inf], [math.inf]
    for sentence in validators if isinstance(validators, list) else ():
        for pattern, sides in _LIMITS:
            found = pattern.fullmatch(sentence.strip()) if isinstance(sentence, str) else None
            if not found:
                continue
            for side, text in zip(sides, found.groups(), strict=True):
                lows += [float(text)] * (side in ("low", "both"))
                highs += [float(text)] * (side in ("high", "both"))
    low, high = max(lows), min(highs)
    return _Limits(low if math.isfinite(low) else None, high if math.isfinite(high) else None)


def _notes(fields: Fields, phases: Iterable[Fields]) -> dict[str, Any]:
    phases = list(phases)
    notes = {
        "format": "openhtf",
        "dut_id": fields.raw("dut_id"),
        "station_id": fields.raw("station_id"),
        "metadata": fields.raw("metadata"),
        "phases": [{"name": one.raw("name"), "outcome": one.raw("outcome")} for one in phases],
        "attachments": [attachment for one in phases for attachment in _attachments(one.raw("attachments"))],
    }
    return {name: notable(value) for name, value in notes.items() if value}


def _attachments(attachments: Any) -> Iterator[dict[str, Any]]:
    """What was attached, without its content."""
    for name, one in attachments.items() if isinstance(attachments, dict) else ():
        if not isinstance(one, dict):
            continue
        content = _content(one.get("data"))
        sha1 = hashlib.sha1(content, usedforsecurity=False).hexdigest() if content is not None else one.get("sha1")
        size = len(content) if content is not None else None
        yield {"name": name, "mimetype": one.get("mimetype"), "sha1": sha1, "size": size}


def _content(data: Any) -> bytes | None:
    try:
        return base64.b64decode(data, validate=True) if isinstance(data, str) else None
    except (binascii.Error, ValueError):
        return None
