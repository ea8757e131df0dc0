"""Gathering the lines of one run, however they arrive: in parts that overlap, out of order, with talk in between.

A line is known by its sequence number. The same line again is nothing new; of different lines under one number, which
is noted, the one with the earliest time counts: what a recording tells depends on its lines, never on their order of
arrival. What is missing shows as a gap; what came and can't be read is told with its reason.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

import msgspec

from mes.domain.facts import ERROR
from mes.domain.refusals import Reason, reason
from mes.formats.foreign_run import ForeignRun, Reading
from mes.formats.ocptv.lines import BROKEN, ELEMENT, SCHEMA, UNREADABLE, Line, read_line, stored_element
from mes.formats.ocptv.snapshot import Snapshot

LINES_MAX: Final = 200_000
"""Most lines of one message."""
PROBLEMS_MAX: Final = 100
_NEVER: Final = datetime.max.replace(tzinfo=UTC)
MAJOR: Final = 2


class Recording:
    """The lines of one run so far, all of them in memory."""

    def __init__(self) -> None:
        self.lines: dict[int, Line] = {}
        self.problems: list[str] = []

    def feed(self, given: Iterable[Any]) -> int:
        """Take in lines, as objects or texts; returns how many were new. Never raises."""
        before = len(self.lines)
        for one in given:
            self.take(read_line(one))
        return len(self.lines) - before

    def take(self, line: Line | str | None) -> None:
        """Take in one line that was read."""
        if line is None:
            return
        if isinstance(line, str):
            self._note(f"A line was skipped: {line}.")
            return
        known = self.lines.get(line.number)
        if known is None:
            self._keep(line)
        elif known != line:
            self._keep(min(known, line, key=_seniority))
            self._note(_contested(line.number))

    def _keep(self, line: Line) -> None:
        self.lines[line.number] = line
        if line.problem:
            self._note(_told(line))

    def _note(self, problem: str) -> None:
        _note(self.problems, problem)

    @property
    def refusal(self) -> Reason | None:
        """Why this is no run that can be read: the older dialect, or another major version."""
        return _refusal(self.lines.get(0))

    @property
    def gaps(self) -> tuple[tuple[int, int], ...]:
        """Sequence numbers that are missing between those that came: first and last of each stretch."""
        found, expected = [], 0
        for number in sorted(self.lines):
            if number > expected:
                found.append((expected, number - 1))
            expected = number + 1
        return tuple(found)

    @property
    def nothing(self) -> str:
        """Why there is nothing of a run in what came, where that is so."""
        return _nothing(bool(self.lines), self.problems)

    def read(self, ended_at: datetime | None = None) -> Reading:
        """The run, if its lines can be read. One without an end is interrupted, as of `ended_at` or its last line."""
        reader = Reader(self.gaps, problems=self.problems)
        for number in sorted(self.lines):
            reader.take(self.lines[number])
        return reader.read(ended_at)


class Reader:
    """Reads the lines of one run in the order of their numbers, and keeps what they tell but none of them.

    So a run of millions of lines can be read in parts. `gaps` are the numbers that are missing; the values of series up
    to the line `left_out_to` are left out on purpose.
    """

    def __init__(
        self, gaps: Sequence[tuple[int, int]] = (), left_out_to: int | None = None, problems: Iterable[str] = ()
    ) -> None:
        self.told = Snapshot(gaps=gaps)
        self.problems = list(problems)
        self._first: Line | None = None
        self._is_empty = True
        if left_out_to is not None:
            self.told.left_out.append(f"Values of series up to line {left_out_to} were left out: there are too many.")

    def feed(self, stored: Iterable[tuple[int, str, str]]) -> None:
        """Take in the next lines as they are stored, each its number, artifact and JSON. Never raises.

        All lines under one number come at once.
        """
        for _, group in groupby(stored, key=itemgetter(0)):
            (_, artifact, text), *others = group
            element = stored_element(text) if artifact == ELEMENT and not others else None
            if element:
                self._is_empty = False
                self.told.take_element(element)
            elif line := self._senior([text, *(other for _, _, other in others)]):
                self.take(line)

    def _senior(self, texts: Iterable[str]) -> Line | None:
        """Of the lines under one number that which counts."""
        lines = [line for text in texts if isinstance(line := read_line(text), Line)]
        if any(line != lines[0] for line in lines):
            _note(self.problems, _contested(lines[0].number))
        return min(lines, key=_seniority, default=None)

    def take(self, line: Line) -> None:
        """Take in the next line."""
        self._is_empty = False
        if line.number == 0:
            self._first = line
        if line.problem:
            _note(self.problems, _told(line))
        if line.hides_value:
            self.told.hiding.append(line.number)
        if line.kind not in (SCHEMA, BROKEN, UNREADABLE):
            self.told.take(line)

    def read(self, ended_at: datetime | None = None) -> Reading:
        """The run, as `Recording.read` has it."""
        if refused := _refusal(self._first):
            return Reading(None, (refused,))
        run = self.told.as_run(ended_at)
        if run is None:
            why = _nothing(not self._is_empty, self.problems)
            return Reading(None, (reason("unreadable", f"data.lines: {why}.", field="data.lines"),))
        gaps = [f"Lines {first} to {last} are missing." for first, last in self.told.gaps[:PROBLEMS_MAX]]
        problems = [*run.cuts, *gaps, *self.problems, *self.told.problems][:PROBLEMS_MAX]
        return Reading(run._replace(notes=run.notes | {"problems": problems}) if problems else run)


def _refusal(first: Line | None) -> Reason | None:
    """Why a run with this line 0 can't be read."""
    if first is None or first.kind == UNREADABLE:  # which version it is can't be said, as where it is missing
        return None
    if first.kind != SCHEMA:
        text = "data.lines: this is the older dialect of OCP diagnostics, without a schemaVersion; send version 2."
        return reason("unreadable", text, field="data.lines")
    major = first.content.get("major")
    if type(major) is not int or major != MAJOR:
        text = f"data.lines: schemaVersion.major is {str(major)[:20]}; version {MAJOR} is read."
        return reason("unreadable", text, field="data.lines")
    return None


def _nothing(has_lines: bool, problems: Sequence[str]) -> str:
    if not has_lines and not problems:
        return "none of them is a line of OCP Test & Validation output"
    why = " ".join(problems[:3]).removesuffix(".")
    return f"none of them is a line that tells of a run{': ' if why else ''}{why}"


def _note(problems: list[str], problem: str) -> None:
    if len(problems) < PROBLEMS_MAX and problem not in problems:
        problems.append(problem)


def _contested(number: int) -> str:
    return f"Line {number} came with different contents; the earliest counts."


def _told(line: Line) -> str:
    """What is wrong with a line, as a sentence."""
    if line.kind == UNREADABLE:
        return f"Line {line.number} can't be read: {line.problem}."
    return f"Line {line.number} breaks the schema: {line.problem}."


def _seniority(line: Line) -> tuple[datetime, str, bytes, str]:
    content = msgspec.json.encode(line.content, order="deterministic")
    return line.at or _NEVER, line.artifact, content, line.problem or ""


def unread(began_at: datetime, ended_at: datetime, reasons: Sequence[Reason]) -> ForeignRun:
    """A run of which no line can be read: the program's error."""
    return ForeignRun(began_at, ended_at, ERROR, notes={"format": "ocptv", "problems": [one.text for one in reasons]})


def recordings(given: Iterable[Any]) -> list[Recording]:
    """A file's runs, each from one schemaVersion line to the next. What comes before the first is a run of its own."""
    found: list[Recording] = []
    for one in given:
        line = read_line(one)
        if line is None:
            continue
        if not found or (isinstance(line, Line) and line.kind == SCHEMA):
            found.append(Recording())
        found[-1].take(line)
    return found
