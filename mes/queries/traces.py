"""Units' traces, worked out from the journal: the truth of which a tracing system holds a copy."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.entries import entry_from
from mes.db.session import driver
from mes.domain.trace import Attribute, OpenSpan, Recorded, Span, UnitTrace, trace_id
from mes.domain.trace.unit_trace import TYPES


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


async def trace_entries(connection: AsyncConnection, after: Mapping[str, int]) -> list[NumberedEntry]:
    """What units' traces are made of: the entries with numbers above those given by unit, each unit's in order."""
    rows = await (await driver(connection)).fetch(
        """
        SELECT s.subject_id::text AS unit_id, s.number, j.id::text, j.type, j.recorded_at, j.body
        FROM unnest($1::uuid[], $2::int[]) AS wanted (unit_id, after)
        JOIN journal_subject s ON s.subject_id = wanted.unit_id AND s.number > wanted.after
        JOIN journal j ON j.id = s.entry_id
        WHERE j.type = ANY($3::text[])
        ORDER BY s.subject_id, s.number
        """,
        list(after.keys()),
        list(after.values()),
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


def units_named(entries: Iterable[Recorded]) -> Sequence[str]:
    """The units that entries of a trace's types name, once each."""
    return list(
        dict.fromkeys(
            subject["id"]
            for entry in entries
            if entry.type in TYPES
            for subject in entry.data.get("subjects", ())
            if subject["kind"] == "unit"
        )
    )


def _view(span: Span) -> SpanView:
    links = [SpanLinkView(one.trace_id, one.span_id, one.relation.value) for one in span.links]
    return SpanView(*span[1:7], span.status.value, span.attributes, links)


def _open_view(one: OpenSpan) -> OpenSpanView:
    return OpenSpanView(*one)
