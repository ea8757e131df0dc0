"""Spans: the values that a unit's trace is made of, and how they are named.

Nothing here is random. A trace is named by its unit's id, a span by the unit and the journal entry that closed it: the
same record gives the same spans wherever and whenever they are worked out. What becomes a span: `unit_trace`.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import NamedTuple, TypeAlias

Attribute: TypeAlias = str | int | float | bool | tuple[str, ...]


class Status(StrEnum):
    """How a span ended; `error` is what a person should look at."""

    UNSET = "unset"
    OK = "ok"
    ERROR = "error"


class Relation(StrEnum):
    """What a linked span is to the one that links to it."""

    PART = "part"
    """In a parent's trace: the part's own span of the same scan."""
    PARENT = "parent"
    """In a part's trace: the parent's span of the same scan."""
    STATION = "station"
    """The trace context that the station sent with its message."""
    CORRECTS = "corrects"
    """An earlier span of this trace of which a later fact told better."""
    UNDOES = "undoes"
    """The installation that a removal ends."""
    OPENED_BY = "opened_by"
    """What went wrong."""
    SETTLED_BY = "settled_by"
    """What put it right."""
    CAUSED_BY = "caused_by"
    """The late fact because of which the unit was worked out again."""


class Link(NamedTuple):
    """A span, of this or another trace, that a span has to do with. Ids are lower-case hex, 32 and 16 digits."""

    trace_id: str
    span_id: str
    relation: Relation


class Span(NamedTuple):
    """A stretch of a unit's life, closed for good; one moment where both times are the same.

    `kind` says what it is, once for all units; `name` also which step or position. `parent_id` is None for the root.
    """

    trace_id: str
    span_id: str
    parent_id: str | None
    kind: str
    name: str
    started_at: datetime
    ended_at: datetime
    status: Status
    attributes: Mapping[str, Attribute]
    links: tuple[Link, ...] = ()


class OpenSpan(NamedTuple):
    """A stretch that has not ended yet: shown, never sent."""

    kind: str
    name: str
    started_at: datetime
    attributes: Mapping[str, Attribute]


def trace_id(unit_id: str) -> str:
    """A unit's trace id: its own id without hyphens."""
    return unit_id.replace("-", "")


def span_id(unit_id: str, entry_id: str, role: str = "") -> str:
    """The id of a span; `role` tells spans apart that one journal entry closed in one unit's trace."""
    return sha256(f"{unit_id}\n{entry_id}\n{role}".encode()).hexdigest()[:16]


_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}").fullmatch


def station_link(traceparent: str | None) -> Link | None:
    """The span that a station's W3C trace context names; None without a valid one."""
    found = _TRACEPARENT(traceparent) if traceparent else None
    return Link(found[1], found[2], Relation.STATION) if found else None
