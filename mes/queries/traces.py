"""Units' traces, worked out from the journal: the truth of which a tracing system holds a copy."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.entries import entry_from
from mes.db.session import driver
from mes.domain.trace import Attribute, OpenSpan, Recorded, Span, UnitTrace, trace_id
from mes.domain.trace.unit_trace import TYPES

NUMBER_MAX: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class SpanLinkView:
    """A span that a span has to do with, of this trace or of another.

    `relation`: part, parent (of the same scan), station (its own trace), corrects, undoes, opened_by, settled_by,
    caused_by.
    """

    trace_id: str
    span_id: str
    relation: str


@dataclass(frozen=True, slots=True)
class SpanView:
    """A stretch of the unit's life that is closed; a moment where both times are the same.

    `kind`: release, receipt, first_seen (the root, whose `parent_id` is null), step, run, ask, installation, removal,
    nonconformance, diagnosis, repair, disposition, hold, identification, completion, packing, shipment, scrapping,
    correction. `status`: ok, error (a person should look), unset. Attributes begin with `mes.`.
    """

    span_id: str
    parent_id: str | None
    kind: str
    name: str
    started_at: datetime
    ended_at: datetime
    status: str
    attributes: Mapping[str, Attribute]
    links: list[SpanLinkView]


@dataclass(frozen=True, slots=True)
class OpenSpanView:
    """A step, nonconformance or hold that has not ended."""

    kind: str
    name: str
    started_at: datetime
    attributes: Mapping[str, Attribute]


@dataclass(frozen=True, slots=True)
class TraceView:
    """A unit's trace: closed spans in the order in which they were told, the root first, and what is still open."""

    trace_id: str
    spans: list[SpanView]
    open: list[OpenSpanView]


class NumberedEntry(NamedTuple):
    """An entry with its running number in the journal of the unit that it names."""

    unit_id: str
    number: int
    recorded: Recorded


async def trace_of(connection: AsyncConnection, unit_id: str) -> TraceView:
    """A unit's trace; of a unit that does not exist an empty one."""
    trace = UnitTrace(unit_id)
    entries = await trace_entries(connection, {unit_id: 0})
    spans = [_view(span) for one in entries for span in trace.add(one.recorded)]
    return TraceView(trace_id(unit_id), spans, [_open_view(one) for one in trace.open])


async def trace_entries(
    connection: AsyncConnection, after: Mapping[str, int], until: Mapping[str, int] | None = None
) -> list[NumberedEntry]:
    """What units' traces are made of, each unit's in order: entries above a number by unit, and up to another."""
    rows = await (await driver(connection)).fetch(
        """
        SELECT s.subject_id::text AS unit_id, s.number, j.id::text, j.type, j.recorded_at, j.body
        FROM unnest($1::uuid[], $2::int[], $3::int[]) AS wanted (unit_id, after, until)
        JOIN journal_subject s
          ON s.subject_id = wanted.unit_id AND s.number > wanted.after AND s.number <= wanted.until
        JOIN journal j ON j.id = s.entry_id
        WHERE j.type = ANY($4::text[])
        ORDER BY s.subject_id, s.number
        """,
        list(after.keys()),
        list(after.values()),
        [until[unit] if until else NUMBER_MAX for unit in after],
        list(TYPES),
    )
    read: dict[str, Recorded] = {}
    for row in rows:
        if row["id"] not in read:  # one entry may name many units
            read[row["id"]] = recorded(row["id"], row["type"], row["recorded_at"], row["body"])
    return [NumberedEntry(row["unit_id"], row["number"], read[row["id"]]) for row in rows]


def recorded(id: str, type: str, at: datetime, body: str) -> Recorded:
    """A journal entry as a trace takes it."""
    data = msgspec.json.decode(body)["data"]
    return Recorded(id, type, at, data, entry_from(data["fact"]) if "fact" in data else None)


def _view(span: Span) -> SpanView:
    links = [SpanLinkView(one.trace_id, one.span_id, one.relation.value) for one in span.links]
    return SpanView(*span[1:7], span.status.value, span.attributes, links)


def _open_view(one: OpenSpan) -> OpenSpanView:
    return OpenSpanView(*one)
