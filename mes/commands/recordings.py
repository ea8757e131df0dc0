"""Recordings: runs told line by line while they go on, and what they come to.

Each message with lines that were not known extends its recording and is one entry of the journal. What the recording
comes to (a start, an end with our verdict) is worked out from all of its lines, so that parts may come in any order,
overlap, or come after their run was given up; only a change of that moves the unit.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.commands.judging import judged_run, told_of
from mes.commands.translation import Stream, Translation
from mes.db import recordings as store
from mes.db.recordings import Line, Recording, RecordingName
from mes.domain.clock import began_at, effective_at
from mes.domain.facts import PRODUCTION, Entry, RunInterrupted, RunRecorded, Station, entry, told_of_run
from mes.domain.refusals import Reason, reason
from mes.formats import ocptv
from mes.formats.messages import ForeignRunReported, RunOfLines, recorded_run
from mes.formats.messages.digests import encode
from mes.formats.ocptv.lines import line_of, place

ELEMENTS_MAX: Final = 5_000_000
"""Most values of series that are read of a run, the newest: 40 bytes and 5 µs each. All other lines are read always."""
GAPS_MAX: Final = 100
SHOWN_MAX: Final = 5
IN_THREAD_LINES: Final = 2000
"""From so many lines on they are read beside the event loop, which has connections to keep up."""


class Recordings:
    """The recordings that one transaction extends, at `at`."""

    def __init__(self, connection: AsyncConnection, at: datetime) -> None:
        self.connection = connection
        self.at = at
        self.rows: dict[RecordingName, Recording] = {}
        self._new_end: set[RecordingName] = set()

    async def extend(self, made: Sequence[Translation]) -> list[bool]:
        """Add what messages tell, in their order; whether each told something new, and so got its entry."""
        names = {_name(stream) for one in made if (stream := one.stream)}
        self.rows = await store.lock_recordings(self.connection, names, self.at)
        before: dict[RecordingName, list[Entry]] = {}
        newest: dict[RecordingName, Translation] = {}
        told = []
        for one in made:
            assert one.stream
            row = self.rows[_name(one.stream)]
            before.setdefault(row.name, _comes_to(row, _entry(row, one, one.stream)))
            told.append(await self._take(row, one, one.stream))
            if told[-1]:
                newest[row.name] = one
        for name, one in newest.items():
            await self._conclude(self.rows[name], one, before[name])
        return told

    async def _take(self, row: Recording, made: Translation, stream: Stream) -> bool:
        """Add the lines of one message; whether any was new."""
        lines, odd = _placed(stream.data.lines)
        new = await store.add_lines(self.connection, row.id, list(lines.values()), stream.received_at)
        is_over = _note_broken_off(row, stream.data.broken_off, max(number for number, _ in lines))
        if not new and not is_over:
            return False
        if unread := [text for number, text in odd if number is None or number in new]:
            made.deviations.append(_unreadable(unread))
        if any(one.artifact in store.ENDS for one in lines.values() if one.number in new):
            self._new_end.add(row.name)
        if contested := await store.contested(self.connection, row.id, new):
            self._new_end.add(row.name)
            text = f"Other lines came under {len(contested)} of its numbers; the earliest line counts."
            made.deviations.append(reason("conflicting_report", text, lines=contested[:GAPS_MAX]))
        _note(row, stream, [one for one in lines.values() if one.number in new])
        made.data |= _told_of_lines(stream, new, [text for number, text in odd if number is None])
        if is_over:
            made.data["broken_off"] = row.broken_off
        made.entry, made.events = _entry(row, made, stream), ()
        return True

    async def _conclude(self, row: Recording, made: Translation, before: Sequence[Entry]) -> None:
        """Work out what a recording comes to now, and what of that is new."""
        stream = made.stream
        assert stream
        if row.interrupted_at:
            await store.drop_run(self.connection, row.id)
            row.interrupted_at = None
        was_open = row.started_at is not None
        if row.name in self._new_end:
            _set_ends(row, await store.ends_of(self.connection, row.id))
        if row.ended_at:
            await self._judge(row, made, stream)
        elif row.started_at and not was_open:
            made.type = "mes.run.opened"
        made.entry = _entry(row, made, stream)
        after = _comes_to(row, made.entry)
        made.taken_back = any(one not in after for one in before)
        made.events = tuple(one for one in after if made.taken_back or one not in before)
        await store.save_recording(self.connection, row)

    async def _judge(self, row: Recording, made: Translation, stream: Stream) -> None:
        gaps = await store.gaps_of(self.connection, row.id, GAPS_MAX)
        run = await _read_run(self.connection, row, stream.data, gaps)
        if row.verdict:
            await store.drop_run(self.connection, row.id)
            made.data["corrects"] = row.verdict
        made.run = judged_run(row.id, row.name.unit_id, stream.product, row.name.station, run, None, self.at)
        made.run = made.run._replace(operator=row.operator, fixture=row.fixture, purpose=row.purpose)
        row.claim, row.verdict = run.outcome, made.run.judgement.verdict
        made.type = "mes.run.judged"
        made.deviations.extend(made.run.judgement.deviations)
        made.deviations.extend(_told_of_gaps(gaps))
        if run.cuts:
            made.deviations.append(_cut(run.cuts))
        made.data |= told_of(made.run, run)


async def read_run(connection: AsyncConnection, row: Recording, about: RunOfLines) -> ForeignRunReported:
    """The run that all lines of a recording tell of so far; interrupted if its end is not among them."""
    return await _read_run(connection, row, about, await store.gaps_of(connection, row.id, GAPS_MAX))


async def _read_run(
    connection: AsyncConnection, row: Recording, about: RunOfLines, gaps: Sequence[tuple[int, int]]
) -> ForeignRunReported:
    left_out_to = await store.newest_beyond(connection, row.id, ELEMENTS_MAX) if row.lines > ELEMENTS_MAX else None
    reader = ocptv.Reader(gaps, left_out_to)
    async for lines in store.telling_lines(connection, row.id, left_out_to):
        if len(lines) < IN_THREAD_LINES:
            reader.feed(lines)
        else:
            await asyncio.to_thread(reader.feed, lines)
    if row.lines < IN_THREAD_LINES:
        return _read(reader, about, row)
    return await asyncio.to_thread(_read, reader, about, row)


def _read(reader: ocptv.Reader, about: RunOfLines, row: Recording) -> ForeignRunReported:
    read = reader.read(row.last_at)
    run = read.run or ocptv.unread(row.began_at or row.heard_at, row.last_at or row.heard_at, read.reasons)
    return recorded_run(about, run)


async def gap_reasons(connection: AsyncConnection, recording_id: str) -> list[Reason]:
    """What is missing of a recording, as a deviation."""
    return _told_of_gaps(await store.gaps_of(connection, recording_id, GAPS_MAX))


def _told_of_gaps(gaps: Sequence[tuple[int, int]]) -> list[Reason]:
    if not gaps:
        return []
    shown = ", ".join(f"{first}-{last}" if last > first else str(first) for first, last in gaps[:SHOWN_MAX])
    text = f"Lines are missing: {shown}{' …' if len(gaps) > SHOWN_MAX else ''}."
    return [reason("sequence_gap", text, gaps=[list(one) for one in gaps])]


def _name(stream: Stream) -> RecordingName:
    return RecordingName(stream.station.name, stream.data.run, stream.unit.id, stream.data.step)


def _placed(given: Sequence[Any]) -> tuple[dict[tuple[int, bytes], Line], list[tuple[int | None, str]]]:
    """The lines that have a place in a run, once each; and what is wrong with those that can't be read.

    Of each of the latter its number, which is None where it has no place for want of one.
    """
    lines: dict[tuple[int, bytes], Line] = {}
    odd: list[tuple[int | None, str]] = []
    for value in map(place, given):
        if isinstance(value, dict):
            read = line_of(value)
            digest = hashlib.sha256(msgspec.json.encode(value, order="sorted")).digest()[:8]
            text = msgspec.json.encode(value).decode()
            lines[read.number, digest] = Line(read.number, digest, read.artifact, read.at, text)
            if read.problem:
                odd.append((read.number, f"line {read.number}: {read.problem}"))
        elif value:
            odd.append((None, value))
    return lines, odd


def _unreadable(problems: Sequence[str]) -> Reason:
    more = f" (and {len(problems) - SHOWN_MAX} more)" if len(problems) > SHOWN_MAX else ""
    text = f"Lines that can't be read: {'; '.join(problems[:SHOWN_MAX])}{more}."
    return reason("lines_unreadable", text, lines=list(problems[:GAPS_MAX]))


def _cut(cuts: Sequence[str]) -> Reason:
    more = f" (and {len(cuts) - SHOWN_MAX} more)" if len(cuts) > SHOWN_MAX else ""
    return reason("lines_unreadable", f"{' '.join(cuts[:SHOWN_MAX])}{more}", cuts=list(cuts[:GAPS_MAX]))


def _note(row: Recording, stream: Stream, new: Sequence[Line]) -> None:
    """What a message's new lines say of the recording as a whole; independent of the order of messages."""
    times = [one.at for one in new if one.at]
    row.lines += len(new)
    row.began_at = min([*times, *([row.began_at] if row.began_at else [])], default=None)
    row.last_at = max([*times, *([row.last_at] if row.last_at else [])], default=None)
    row.heard_at = max(row.heard_at, stream.received_at)
    data = stream.data
    row.purpose = min(row.purpose, data.purpose, key=lambda purpose: (purpose == PRODUCTION, purpose))
    row.fixture = min((one for one in (row.fixture, data.fixture) if one), default=None)
    operators = (row.operator, int(stream.operator) if stream.operator else None)
    row.operator = min((one for one in operators if one is not None), default=None)


def _note_broken_off(row: Recording, broken_off: str | None, last: int) -> bool:
    """Whether a message newly says that the program ended after its line `last`. Of two the later line counts."""
    is_known = row.broken_off_after is not None and row.broken_off_after >= last
    if broken_off is None or is_known or row.ended_at:
        return False
    row.broken_off, row.broken_off_after = broken_off, last
    return True


def _told_of_lines(stream: Stream, new: set[int], skipped: Sequence[str]) -> dict[str, Any]:
    """What the journal says of a message's lines: they are bound by their digest."""
    told: dict[str, Any] = {"lines": {"new": len(new)}}
    if new:
        told["lines"] |= {"first": min(new), "last": max(new)}
    told["lines"]["digest"] = hashlib.sha256(encode(stream.data.lines)).hexdigest()
    if skipped:
        told["lines"]["skipped"] = list(skipped[:GAPS_MAX])
    return told


def _entry(row: Recording, made: Translation, stream: Stream) -> Entry:
    message = made.message
    return entry(stream.at, message.source, message.id, _recorded(row, stream.station))


def _recorded(row: Recording, station: Station) -> RunRecorded:
    return RunRecorded(
        row.name.unit_id,
        row.name.step,
        station,
        row.name.run,
        row.id,
        row.lines,
        row.started_at,
        row.ended_at,
        row.claim,
        row.verdict,
        row.purpose,
        str(row.operator) if row.operator is not None else None,
    )


def _comes_to(row: Recording, recorded: Entry) -> list[Entry]:
    """What a recording is on the floor. An interruption stands for itself: whatever is new takes it back."""
    if not row.lines:
        return []
    interruption = None
    if row.interrupted_at:
        what = recorded.what
        assert isinstance(what, RunRecorded)
        about = (what.unit, what.step, what.station, what.run, what.run_id, what.lines)
        interruption = entry(row.interrupted_at, "", "", RunInterrupted(*about))
    return told_of_run(recorded, interruption)


def _set_ends(row: Recording, ends: Sequence[store.End]) -> None:
    """Effective start and end: as the program says, but neither later than it arrived, and no shorter for that."""
    recording = ocptv.Recording()
    first: dict[str, ocptv.Line] = {}
    received = [(line_of(msgspec.json.decode(one.text)), one.received_at) for one in ends]
    for line, _ in received:
        recording.take(line)
    for line in (recording.lines[number] for number in sorted(recording.lines)):
        first.setdefault(line.artifact, line)
    start, end = (first.get(name) for name in store.ENDS)
    row.started_at = row.ended_at = None
    if start and start.at:
        row.started_at = effective_at(start.at, next(at for line, at in received if line == start))
    if end and end.at:
        row.ended_at = effective_at(end.at, next(at for line, at in received if line == end))
        latest = began_at((start.at if start else row.began_at) or end.at, end.at, row.ended_at)
        row.started_at = min(row.started_at or latest, latest)
