"""How a journal entry is told as spans: what all kinds of spans have in common."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from mes.domain.facts import ABORTED, ERROR, FAIL, INTERRUPTED, PASS, Entry
from mes.domain.trace.spans import Attribute, Link, Relation, Span, Status, span_id, station_link, trace_id

TEXT_MAX = 1000
"""Most characters of a text that a span carries; all of it is in the record."""
_BAD = frozenset({FAIL, ERROR, ABORTED, INTERRUPTED})


class Recorded(NamedTuple):
    """A journal entry as a trace takes it. `at` is when it was recorded; `fact` the fact or decision in it, if any."""

    id: str
    type: str
    at: datetime
    data: Mapping[str, Any]
    fact: Entry | None = None

    @property
    def moment(self) -> datetime:
        """When it happened, as far as the record tells."""
        return self.fact.at if self.fact else self.at

    def name_of(self, subject_id: str) -> str | None:
        """What it calls a unit or lot that it names."""
        return next((one["name"] for one in self.data.get("subjects", ()) if one["id"] == subject_id), None)

    def subject_of_kind(self, kind: str) -> str:
        """The id of what it names of a kind; empty when it names none."""
        return next((one["id"] for one in self.data.get("subjects", ()) if one["kind"] == kind), "")


class Teller:
    """Makes the spans of one unit's trace. `root` is the id of the root span, once there is one."""

    def __init__(self, unit_id: str) -> None:
        self.unit_id = unit_id
        self.trace_id = trace_id(unit_id)
        self.root: str | None = None

    def make_root(self, entry: Recorded, kind: str, name: str, told: Mapping[str, Any]) -> Span:
        """The root: one moment, closed at once."""
        self.root = span_id(self.unit_id, entry.id, "root")
        at = entry.moment
        attributes = attributes_of({"serial": entry.name_of(self.unit_id), **told, "entry": entry.id})
        return Span(self.trace_id, self.root, None, kind, name, at, at, Status.OK, attributes)

    def tell(
        self,
        entry: Recorded,
        kind: str,
        name: str,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        role: str = "",
        parent: str | None = None,
        status: Status = Status.UNSET,
        links: tuple[Link | None, ...] = (),
        told: Mapping[str, Any],
    ) -> Span:
        """A span that an entry closes: from `since` until `until`, without them the entry's own moment.

        What was odd about the entry, and the station's own span, come with it.
        """
        ended_at = until or entry.moment
        common = {"deviations": tuple(entry.data.get("deviations", ())), "entry": entry.id}
        found = (*links, station_link(entry.data.get("traceparent")))
        return Span(
            self.trace_id,
            span_id(self.unit_id, entry.id, role),
            parent or self.root,
            kind,
            name.strip(),
            min(since or ended_at, ended_at),
            ended_at,
            status,
            attributes_of({**common, **told}),
            tuple(one for one in found if one),
        )

    def link(self, span: str | None, relation: Relation) -> Link | None:
        """A link to another span of this trace."""
        return Link(self.trace_id, span, relation) if span else None


def attributes_of(told: Mapping[str, Any]) -> dict[str, Attribute]:
    """Attributes under our own prefix; what is not known, or empty, is left out."""
    return {
        f"mes.{name}": value[:TEXT_MAX] if isinstance(value, str) else value
        for name, value in told.items()
        if value is not None and value not in ("", ())
    }


def status_of(outcome: str | None) -> Status:
    """How an outcome looks in a trace. FAIL and ERROR both call for a person; the verdict tells which."""
    if outcome in _BAD:
        return Status.ERROR
    return Status.OK if outcome == PASS else Status.UNSET
