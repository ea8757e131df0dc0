"""A unit's trace: the spans that its journal entries make, the same whenever they are worked out."""

from mes.domain.trace.spans import Attribute, Link, OpenSpan, Relation, Span, Status, span_id, station_link, trace_id
from mes.domain.trace.telling import Recorded
from mes.domain.trace.unit_trace import UnitTrace

__all__ = [
    "Attribute",
    "Link",
    "OpenSpan",
    "Recorded",
    "Relation",
    "Span",
    "Status",
    "UnitTrace",
    "span_id",
    "station_link",
    "trace_id",
]
