"""Gathering the lines of one run, however they arrive: in parts that overlap, out of order, with talk in between.

A line is known by its sequence number. The same line again is nothing new; of different lines under one number, which
is noted, the one with the earliest time counts: what a recording tells depends on its lines, never on their order of
arrival. What is missing shows as a gap; what came and can't be read is told with its reason.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from mes.domain.facts import ERROR
from mes.domain.refusals import Reason, reason
from mes.formats.foreign_run import ForeignRun, Reading
from mes.formats.ocptv.lines import BROKEN, SCHEMA, UNREADABLE, Line, read_line
from mes.formats.ocptv.snapshot import Snapshot, snapshot

LINES_MAX: Final = 200_000
PROBLEMS_MAX: Final = 100
_NEVER: Final = datetime.max.replace(tzinfo=UTC)
MAJOR: Final = 2


class Recording:
    """The lines of one run so far. `gaps` are given where some lines are left out on purpose."""

    def __init__(self, gaps: Sequence[tuple[int, int]] | None = None) -> None:
        self.lines: dict[int, Line] = {}
        self.problems: list[str] = []
        self._gaps = gaps

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
        if known is None and len(self.lines) < LINES_MAX:
            self._keep(line)
        elif known is None:
            self._note(f"Lines beyond the first {LINES_MAX} were left out.")
        elif known != line:
            self._keep(min(known, line, key=_seniority))
            self._note(f"Line {line.number} came with different contents; the earliest counts.")

    def _keep(self, line: Line) -> None:
        self.lines[line.number] = line
        if line.problem:
            self._note(_told(line))

    def _note(self, problem: str) -> None:
        if len(self.problems) < PROBLEMS_MAX and problem not in self.problems:
            self.problems.append(problem)

    @property
    def refusal(self) -> Reason | None:
        """Why this is no run that can be read: the older dialect, or another major version."""
        first = self.lines.get(0)
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

    @property
    def gaps(self) -> tuple[tuple[int, int], ...]:
        """Sequence numbers that are missing between those that came: first and last of each stretch."""
        if self._gaps is not None:
            return tuple(self._gaps)
        found, expected = [], 0
        for number in sorted(self.lines):
            if number > expected:
                found.append((expected, number - 1))
            expected = number + 1
        return tuple(found)

    @property
    def nothing(self) -> str:
        """Why there is nothing of a run in what came, where that is so."""
        if not self.lines and not self.problems:
            return "none of them is a line of OCP Test & Validation output"
        why = " ".join(self.problems[:3]).removesuffix(".")
        return f"none of them is a line that tells of a run{': ' if why else ''}{why}"

    def snapshot(self) -> Snapshot:
        """What the lines tell so far, in the order of their numbers."""
        ordered = [self.lines[number] for number in sorted(self.lines)]
        hiding = [line.number for line in ordered if line.hides_value]
        return snapshot([line for line in ordered if line.kind not in (SCHEMA, BROKEN, UNREADABLE)], hiding)

    def read(self, ended_at: datetime | None = None) -> Reading:
        """The run, if its lines can be read. One without an end is interrupted, as of `ended_at` or its last line."""
        if refused := self.refusal:
            return Reading(None, (refused,))
        told = self.snapshot()
        run = told.as_run(ended_at)
        if run is None:
            return Reading(None, (reason("unreadable", f"data.lines: {self.nothing}.", field="data.lines"),))
        gaps = [f"Lines {first} to {last} are missing." for first, last in self.gaps[:PROBLEMS_MAX]]
        problems = [*gaps, *self.problems, *told.problems][:PROBLEMS_MAX]
        return Reading(run._replace(notes=run.notes | {"problems": problems}) if problems else run)


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
