"""Units' traces as a feed: each entry's spans are sent once it has its position, in the order of positions.

The spans are those that `mes.queries.traces` works out from the same entries, so what was sent can be compared with
the record, and sent again. A unit's trace so far is kept in memory for the next slice; it is only a saving, for it can
be worked out again from the journal at any time.
"""

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.session import Database
from mes.domain.trace import Span, UnitTrace
from mes.domain.trace.unit_trace import TYPES
from mes.feeds.following import SLICE_MAX, NotDelivered
from mes.queries.journal import PositionedEntry, journal_slice
from mes.queries.traces import NumberedEntry, trace_entries
from mes.tracing import NotSent, UnitSpans

log = logging.getLogger(__name__)

NAME: Final = "traces"
KEPT_MAX: Final = 5000
"""Most units whose traces are kept in memory."""

Send = Callable[[Sequence[Span]], Awaitable[None]]


class _Subject(msgspec.Struct):
    kind: str
    id: str
    number: int


class _Data(msgspec.Struct):
    subjects: list[_Subject]


class _Head(msgspec.Struct):
    """As much of an entry as tells whose trace it belongs to."""

    id: str
    type: str
    data: _Data


_head = msgspec.json.Decoder(_Head).decode


@dataclass(slots=True)
class _Known:
    """A unit's trace up to one of its numbers."""

    trace: UnitTrace
    number: int = 0


class Traces:
    """Works out which spans a slice of the journal closes."""

    def __init__(self, kept_max: int = KEPT_MAX) -> None:
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._kept_max = kept_max

    async def spans_of(self, connection: AsyncConnection, entries: Iterable[PositionedEntry]) -> list[Span]:
        """The spans that entries close, in the order of the entries."""
        heads = [head for entry in entries if (head := _head(entry.body)).type in TYPES]
        wanted: dict[str, dict[str, int]] = {}
        for head in heads:
            for subject in head.data.subjects:
                if subject.kind == "unit":
                    wanted.setdefault(subject.id, {})[head.id] = subject.number
        found = await self._advance(connection, wanted)
        self._forget()
        return [span for head in heads for span in found.get(head.id, ())]

    async def _advance(
        self, connection: AsyncConnection, wanted: Mapping[str, Mapping[str, int]]
    ) -> dict[str, list[Span]]:
        """The spans of wanted entries (numbers by entry by unit), by entry; units' traces move on to their ends."""
        for unit, numbers in wanted.items():
            known = self._known.get(unit)
            if known is None or min(numbers.values()) <= known.number:
                # Unknown, or positions stand in another order than numbers here: from the beginning.
                self._known[unit] = _Known(UnitTrace(unit))
            self._known.move_to_end(unit)
        after = {unit: self._known[unit].number for unit in wanted}
        until = {unit: max(numbers.values()) for unit, numbers in wanted.items()}
        found: dict[str, list[Span]] = {}
        for one in await trace_entries(connection, after, until):
            self._add(one, wanted[one.unit_id], found)
        return found

    def _add(self, one: NumberedEntry, wanted: Collection[str], found: dict[str, list[Span]]) -> None:
        known = self._known[one.unit_id]
        spans = known.trace.add(one.recorded)
        known.number = one.number
        if one.recorded.id in wanted:
            found.setdefault(one.recorded.id, []).extend(spans)

    def _forget(self) -> None:
        while len(self._known) > self._kept_max:
            self._known.popitem(last=False)


class TraceFeed:
    """Delivers slices of the journal as spans."""

    def __init__(self, database: Database, spans: UnitSpans, kept_max: int = KEPT_MAX) -> None:
        self._database = database
        self._spans = spans
        self._traces = Traces(kept_max)

    async def deliver(self, entries: Sequence[PositionedEntry]) -> None:
        """Send the spans that entries close. Raises NotDelivered; the same entries then make the same spans again."""
        try:
            async with self._database.reading() as connection:
                spans = await self._traces.spans_of(connection, entries)
            await self._spans.send(spans)
        except NotSent as error:
            raise NotDelivered(f"the receiver of traces: {error}") from error


async def export(database: Database, spans: UnitSpans, after: int = -1, until: int | None = None) -> tuple[int, int]:
    """Send what entries behind a position, up to another, close; gives how many spans and the last position.

    Moves no cursor. Raises NotSent.
    """
    traces = Traces()
    sent = 0
    while True:
        async with database.reading() as connection:
            entries = await journal_slice(connection, after, SLICE_MAX)
            entries = [one for one in entries if until is None or (one.position or 0) <= until]
            closed = await traces.spans_of(connection, entries)
        if not entries:
            return sent, after
        await spans.send(closed)
        sent, after = sent + len(closed), entries[-1].position or 0


async def export_unit(database: Database, spans: UnitSpans, unit_id: str) -> int:
    """Send the whole trace of one unit; gives how many spans. Raises NotSent."""
    trace = UnitTrace(unit_id)
    async with database.reading() as connection:
        closed = [span for one in await trace_entries(connection, {unit_id: 0}) for span in trace.add(one.recorded)]
    await spans.send(closed)
    return len(closed)
