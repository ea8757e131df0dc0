"""One line of OCP Test & Validation output: an object with a sequence number, a time and one artifact.

A text that is no JSON but whose number can be made out came, and is not missing: a stand-in with that number and what
is wrong with the text takes its place, so that it can be kept and is told of wherever the run is.
"""

import hashlib
import json
import math
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final, NamedTuple, TypeAlias

import msgspec
from msgspec import Meta, Struct

from mes.formats.fields import show

SCHEMA, RUN, STEP = "schemaVersion", "testRunArtifact", "testStepArtifact"
ELEMENT: Final = "measurementSeriesElement"
BROKEN, UNREADABLE = "broken", "unreadable"
SEQUENCE_MAX: Final = 2**31 - 1
TEXT_MAX: Final = 256 * 1024
_YEARS: Final = range(1970, 2201)
_Scalar: Final = (str, bool, int, float)

REQUIRED: Final[dict[str, dict[str, tuple[type, ...]]]] = {
    "testRunStart": {
        "name": (str,),
        "version": (str,),
        "commandLine": (str,),
        "parameters": (dict,),
        "dutInfo": (dict,),
    },
    "testRunEnd": {"status": (str,), "result": (str,)},
    "testStepStart": {"name": (str,)},
    "testStepEnd": {"status": (str,)},
    "measurement": {"name": (str,), "value": _Scalar},
    "measurementSeriesStart": {"name": (str,), "measurementSeriesId": (str,)},
    ELEMENT: {"index": (int,), "value": _Scalar, "measurementSeriesId": (str,)},
    "measurementSeriesEnd": {"measurementSeriesId": (str,), "totalCount": (int,)},
    "diagnosis": {"verdict": (str,), "type": (str,)},
    "error": {"symptom": (str,)},
    "log": {"severity": (str,), "message": (str,)},
    "file": {"displayName": (str,), "uri": (str,), "isSnapshot": (bool,)},
    "extension": {"name": (str,), "content": (dict,)},
}
"""What an artifact must have, by name and JSON type."""
OF_RUN: Final = frozenset(("testRunStart", "testRunEnd", "log", "error"))
OF_STEP: Final = frozenset(REQUIRED) - {"testRunStart", "testRunEnd"}
_MEASURED: Final = frozenset(("measurement", "measurementSeriesStart", ELEMENT))
"""What a measured value is lost with."""
_NUMBER: Final = re.compile(r'"sequenceNumber"\s*:\s*([0-9]{1,10})\s*[,}]')
_DIGITS_MAX: Final = 300
WORDS: Final = {
    ("testRunEnd", "status"): ("COMPLETE", "ERROR", "SKIP"),
    ("testRunEnd", "result"): ("PASS", "FAIL", "NOT_APPLICABLE"),
    ("testStepEnd", "status"): ("COMPLETE", "ERROR", "SKIP"),
    ("diagnosis", "type"): ("PASS", "FAIL", "UNKNOWN"),
}


class Line(NamedTuple):
    """One line. `artifact` is its artifact's name and `content` what is in that; `step` the step it belongs to.

    A line that breaks the schema keeps its number and is of the kind BROKEN, one that is no JSON of the kind
    UNREADABLE; `problem` says why, `hides_value` whether a measured value was, or may have been, in it.
    """

    number: int
    at: datetime | None
    kind: str
    artifact: str
    content: dict[str, Any]
    step: str | None = None
    problem: str | None = None
    hides_value: bool = False


class Element(NamedTuple):
    """A line that is one value of a series, and no more than that says. `step` and `series` are ids of the program's.

    `ordinal` is its index in the series, `at` when the line was written, `measured_at` when the value was measured.
    """

    number: int
    at: datetime
    step: str
    series: str
    ordinal: int
    value: Any
    measured_at: datetime


_Moment: TypeAlias = Annotated[datetime, Meta(tz=True)]


class _Value(Struct, rename="camel", gc=False):
    index: int
    value: str | bool | int | float
    measurement_series_id: str
    timestamp: _Moment | None = None


class _OfStep(Struct, rename="camel", gc=False):
    test_step_id: str
    measurement_series_element: _Value


class _Stored(Struct, rename="camel", gc=False):
    sequence_number: int
    timestamp: _Moment
    test_step_artifact: _OfStep


_decode_element: Final = msgspec.json.Decoder(_Stored).decode


def element_of(line: Line) -> Element:
    """The value that a line of the artifact ELEMENT is."""
    content, at = line.content, line.at
    assert at
    measured_at = moment(content.get("timestamp")) or at
    id, index, value = content["measurementSeriesId"], content["index"], content["value"]
    return Element(line.number, at, line.step or "", id, index, value, measured_at)


def stored_element(text: str) -> Element | None:
    """The same of a line's JSON that is known to be such a line; None where it has to be read as any other.

    Takes a fifth of the time: nearly all lines of a burn-in are values of series, and each was checked when it came.
    """
    if len(text) > TEXT_MAX:
        return None
    try:
        read = _decode_element(text)
    except msgspec.ValidationError:
        return None
    artifact, at = read.test_step_artifact, read.timestamp
    one = artifact.measurement_series_element
    measured_at = one.timestamp or at
    if at.year not in _YEARS or measured_at.year not in _YEARS:
        return None
    return Element(
        read.sequence_number, at, artifact.test_step_id, one.measurement_series_id, one.index, one.value, measured_at
    )


def read_line(given: Any) -> Line | str | None:
    """A line given as an object or as text; None for a text that is no line but talk between lines.

    What can't be placed in a run at all, because it has no sequence number, is told as a text.
    """
    placed = place(given)
    return line_of(placed) if isinstance(placed, dict) else placed


def place(given: Any) -> dict[str, Any] | str | None:
    """A line's object, given as such or as text, if it has a place in a run; else as `read_line` has it.

    Of a text that can't be read the object is a stand-in.
    """
    value = _decoded(given) if isinstance(given, str) else given
    if value is None and isinstance(given, str):
        return stand_in(given) or (None if not given.lstrip().startswith("{") else "it is not JSON")
    if not isinstance(value, dict):
        return f"it is {show(value)}; a line is an object"
    number = value.get("sequenceNumber")
    if type(number) is not int or not 0 <= number <= SEQUENCE_MAX:
        return f"its sequenceNumber is {show(number)}; it must be a whole number from 0 on"
    return value


def line_of(value: dict[str, Any]) -> Line:
    """The line that an object is which has a place in a run."""
    number, at = value["sequenceNumber"], moment(value.get("timestamp"))
    kinds = [kind for kind in (SCHEMA, RUN, STEP) if kind in value]
    why = value.get(UNREADABLE)
    if not kinds and isinstance(why, dict):
        problem, hides_value = str(why.get("problem"))[:200], why.get("hides_value") is not False
        return Line(number, at, UNREADABLE, "", why, problem=problem, hides_value=hides_value)
    if len(kinds) == 1:
        line = _of_kind(number, at, kinds[0], value[kinds[0]])
    else:
        line = _broken(number, at, f"it has {len(kinds)} of {SCHEMA}, {RUN} and {STEP}; a line has one")
    return line._replace(hides_value=_hides_value(value)) if line.kind == BROKEN else line


def moment(value: Any) -> datetime | None:
    """A time as RFC 3339 with its zone, in UTC; None for anything else."""
    try:
        at = msgspec.convert(value, _Moment)
        return at.astimezone(UTC) if at.year in _YEARS else None
    except (msgspec.ValidationError, OverflowError):
        return None


def _decoded(text: str) -> Any:
    """The object in a line; a logger may have put its name in front."""
    start = text.find("{")
    if start < 0 or len(text) > TEXT_MAX:
        return None
    try:
        # NUL is no character that a record can hold.
        return msgspec.json.decode(text[start:].replace("\\u0000", "\\ufffd"))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def stand_in(text: str, because: str | None = None) -> dict[str, Any] | None:
    """An object in the place of a text that can't be read; None where not even its number can be made out.

    It holds the digest of the text, so that other texts under its number are seen to be others, and why it can't be
    read: `because` of something that only the caller knows, or by what is wrong with it.
    """
    if "{" not in text:
        return None
    value, problem = _leniently(text[text.index("{") :])
    number, at, hides_value = _number(text), None, True
    if isinstance(value, dict):
        number, at, hides_value = value.get("sequenceNumber"), value.get("timestamp"), _hides_value(value)
    if type(number) is not int or not 0 <= number <= SEQUENCE_MAX:
        return None
    if len(text) > TEXT_MAX:
        problem = f"it has {len(text)} characters; at most {TEXT_MAX} are read"
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
    why = {"problem": because or problem, "hides_value": hides_value, "sha256": digest}
    return {"sequenceNumber": number, UNREADABLE: why} | ({"timestamp": at} if moment(at) else {})


def _number(text: str) -> int | None:
    """The sequence number in a text that is no JSON at all."""
    found = _NUMBER.search(text)
    return int(found[1]) if found else None


def _leniently(text: str) -> tuple[Any, str]:
    """What Python's own decoder, which is less strict, reads in a text; and why ours did not."""
    odd: list[str] = []

    def constant(word: str) -> None:
        odd.append(f"it holds {word}, which is no JSON; write what is no number as a text")

    def number(digits: str) -> float:
        if not math.isfinite(value := float(digits)):
            odd.append(f"it holds the number {digits[:40]}, which fits no double")
        return value

    def whole(digits: str) -> float:
        return int(digits) if len(digits) < _DIGITS_MAX else number(digits)

    try:
        value = json.loads(text, parse_constant=constant, parse_float=number, parse_int=whole)
    except RecursionError:
        return None, "it is nested too deeply"
    except ValueError:
        return None, "it is not JSON; it may have been cut off"
    return value, odd[0] if odd else "it holds half a surrogate pair, which no text can hold"


def _hides_value(value: dict[str, Any]) -> bool:
    """Whether a measured value is lost with a line that is not read."""
    step = value.get(STEP, {})
    return not isinstance(step, dict) or not _MEASURED.isdisjoint(step)


def _broken(number: int, at: datetime | None, problem: str) -> Line:
    return Line(number, at, BROKEN, "", {}, problem=problem)


def _of_kind(number: int, at: datetime | None, kind: str, value: Any) -> Line:
    if not isinstance(value, dict):
        return _broken(number, at, f"{kind} is {show(value)}; it must be an object")
    if kind == SCHEMA:
        return Line(number, at, kind, kind, value)
    if at is None:
        return _broken(number, at, "its timestamp must be a time as RFC 3339 with its zone")
    allowed = OF_RUN if kind == RUN else OF_STEP
    names = [name for name in value if name in allowed]
    if len(names) != 1:
        return _broken(number, at, f"{kind} has {len(names)} known artifacts; it must have one")
    step = value.get("testStepId") if kind == STEP else None
    if kind == STEP and not isinstance(step, str):
        return _broken(number, at, f"testStepId is {show(step)}; it must be a text")
    problem = _problem(names[0], value[names[0]])
    return _broken(number, at, problem) if problem else Line(number, at, kind, names[0], value[names[0]], step)


def _problem(artifact: str, content: Any) -> str | None:
    """What breaks the schema in an artifact."""
    if not isinstance(content, dict):
        return f"{artifact} is {show(content)}; it must be an object"
    for name, types in REQUIRED[artifact].items():
        value = content.get(name)
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            return f"{artifact}.{name} is {show(value)}; it must be {_called(types)}"
        words = WORDS.get((artifact, name))
        if words and value not in words:
            return f"{artifact}.{name} is {show(value)}; it must be one of {', '.join(words)}"
    if artifact == "testRunStart" and not isinstance(content["dutInfo"].get("dutInfoId"), str):
        return "testRunStart.dutInfo.dutInfoId must be a text"
    return None


def _called(types: tuple[type, ...]) -> str:
    names = {str: "a text", dict: "an object", bool: "true or false", int: "a whole number", float: "a number"}
    return " or ".join(names[one] for one in types)
