"""Files as messages: an OpenHTF record, a cable tester's report, OCP Test & Validation output, a BMC's resources.

The same file for the same unit gives the same messages, by id too: pushed twice, it is on the record once. So is OCP
Test & Validation output that was copied, and has a younger file: its run has the same name, for it tells its own times.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from stations.ocptv_agent import About, Lines, read_placed
from stations.wording import unwritable

Form: TypeAlias = Literal["openhtf", "cable-report", "ocptv", "redfish"]
FILE_MAX_BYTES: Final = 1024 * 1024 * 1024
TYPES: Final[dict[Form, str]] = {
    "openhtf": "com.google.openhtf.record",
    "cable-report": "mes.cable.report",
    "ocptv": "org.opencompute.ocptv",
    "redfish": "mes.inventory.read",
}


class UnknownFileError(ValueError):
    """A file is none that we know, or can't be read. Says what is known."""


class FromFile(NamedTuple):
    """One message out of a file."""

    id: str
    type: str
    data: dict[str, Any]
    at: datetime


def read_file(path: Path, about: dict[str, str], form: Form | None = None) -> list[FromFile]:
    """The messages of a file. `about` are `unit, step, run, operator …` as far as they are known; the time is the
    file's. Raises `UnknownFileError`.
    """
    try:
        if path.stat().st_size > FILE_MAX_BYTES:
            raise UnknownFileError(f"{path} is larger than {FILE_MAX_BYTES} bytes.")
        text = _text(path.read_bytes())
        at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError as error:
        raise UnknownFileError(f"{path} can't be read: {error.strerror}.") from error
    form = form or recognise(text)
    if form is None:
        raise UnknownFileError(
            f"{path} is no OpenHTF record (JSON), no OCP Test & Validation output, no cable tester's report (CSV) "
            "and no Redfish resources by their odata ids (JSON)."
        )
    name = _digest(sorted(about.items()), form, at.timestamp(), text)
    told = list(_told(form, path, text, about, at))
    for data in told:
        if wrong := unwritable(data):
            raise UnknownFileError(f"{path} can't be sent: {wrong[0]}: {wrong[1]}.")
    return [FromFile(f"file-{name[:40]}-{number}", TYPES[form], data, at) for number, data in enumerate(told)]


def _text(raw: bytes) -> str:
    """A file's text: UTF-8, or cp1252 where it is a cable tester's report, as programs on Windows write it."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("utf-8-sig", errors="replace")
        return raw.decode("cp1252", errors="replace") if recognise(text) == "cable-report" else text


def recognise(text: str) -> Form | None:
    """What a file is, by what is in it."""
    if any(read_placed(line) for line in text.split("\n", 1000)[:1000] if "{" in line):
        return "ocptv"
    if text.lstrip().startswith("{"):
        return "redfish" if re.match(r'\s*\{\s*"/redfish/', text) else "openhtf"
    return "cable-report" if re.search("test results", text, re.I) and re.search("[,;]", text) else None


def unit_of(data: dict[str, Any]) -> str | None:
    """The serial of the unit that a message of a file is about, as it was given or as a record names it."""
    unit = data.get("unit", data.get("dut_id"))
    serial = unit.get("serial") if isinstance(unit, dict) else unit
    return serial if isinstance(serial, str) and serial else None


def _digest(*said: Any) -> str:
    return hashlib.sha256(repr(said).encode(errors="backslashreplace")).hexdigest()


def _told(form: Form, path: Path, text: str, about: dict[str, str], at: datetime) -> Iterator[dict[str, Any]]:
    if form == "cable-report":
        yield about | {"text": text}
    elif form == "openhtf":
        yield _object(path, text) | about
    elif form == "redfish":
        known = {name: value for name, value in about.items() if name in ("unit", "run")}
        yield known | {"at": at.isoformat(), "redfish": _object(path, text)}
    else:
        run = _digest(about.get("unit"), about.get("step"), text)
        yield from _lines(text, {"run": f"file-{run[:16]}"} | about)


def _object(path: Path, text: str) -> dict[str, Any]:
    try:
        read = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnknownFileError(f"{path} is no JSON: {error}.") from error
    if not isinstance(read, dict):
        raise UnknownFileError(f"{path} is JSON, and no object.")
    return read


class _Collected:
    """Takes the messages of a file as an agent would send them."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []

    def forward(self, type_: str, data: dict[str, Any]) -> str:
        self.told.append(data)
        return type_


def _lines(text: str, about: dict[str, str]) -> list[dict[str, Any]]:
    collected = _Collected()
    lines = Lines(collected, About(**{"unit": "", "step": ""} | about), every_s=float("inf"))
    for line in text.split("\n"):  # JSON may hold U+2028 and U+0085 as they are, where `splitlines` breaks, too
        lines.add(line)  # which strips what Windows puts before
    lines.end("The file ends, and its run has no end in it.")
    return collected.told


def without_attachments(record: dict[str, Any]) -> dict[str, Any]:
    """An OpenHTF record without the bytes of its attachments: their names, types and digests stay."""
    return {name: _lighter(value) if name == "phases" else value for name, value in record.items()}


def _lighter(phases: Any) -> Any:
    if not isinstance(phases, list):
        return phases
    return [
        one | {"attachments": {name: _bare(value) for name, value in one["attachments"].items()}}
        if isinstance(one, dict) and isinstance(one.get("attachments"), dict)
        else one
        for one in phases
    ]


def _bare(attachment: Any) -> Any:
    if not isinstance(attachment, dict):
        return attachment
    return {name: value for name, value in attachment.items() if name != "data"}
