"""One unit's trace as it grows: which entry makes which spans.

The root is the unit's release (of a bought part its receipt, or the scan by which it became known): short, so that it
can be sent first. All else hangs on it, or on a span that is told together with it, so every parent resolves at any
time. A span is told once, by the entry that closes it; what a later fact shows to have been otherwise is told again as
a span of its own that links to the earlier one. So the trace of some entries is the beginning of the trace of more.

Entries are taken by the unit's own running number, the order in which they were recorded.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from mes.domain import facts
from mes.domain.trace.flaws import Flaws, Opener
from mes.domain.trace.parts import Parts
from mes.domain.trace.spans import OpenSpan, Relation, Span, Status
from mes.domain.trace.telling import Recorded, Teller
from mes.domain.trace.work import Work

TYPES = (
    "mes.unit.created",
    "mes.part.received",
    "mes.unit.identified",
    "mes.step.answered",
    "mes.unit.step.started",
    "mes.unit.step.completed",
    "mes.run.opened",
    "mes.run.judged",
    "mes.run.interrupted",
    "mes.part.installed",
    "mes.part.removed",
    "mes.nonconformance.opened",
    "mes.nonconformance.diagnosed",
    "mes.nonconformance.repaired",
    "mes.nonconformance.disposed",
    "mes.hold.placed",
    "mes.hold.released",
    "mes.unit.completed",
    "mes.unit.packed",
    "mes.unit.shipped",
    "mes.unit.scrapped",
    "mes.unit.refolded",
)
"""The types of entries that a trace is made of; telemetry is not among them."""

RECEIPT = "receipt"


class _Newest(NamedTuple):
    """The newest fact that was told: when it was recorded, when it happened, and its span."""

    recorded_at: datetime
    moment: datetime
    span_id: str


class UnitTrace:
    """One unit's trace. `add` each entry of `TYPES` that names the unit, in the order of the unit's numbers."""

    def __init__(self, unit_id: str) -> None:
        self.teller = Teller(unit_id)
        self.work = Work(self.teller)
        self.parts = Parts(self.teller)
        self.flaws = Flaws(self.teller)
        self.openers: dict[tuple[str, str], Opener] = {}
        self._newest: _Newest | None = None

    def add(self, entry: Recorded) -> list[Span]:
        """The spans that an entry closes, parents first; the first entry of all makes the root."""
        spans: list[Span] = []
        if self.teller.root is None:
            spans.append(_root(self.teller, entry))
            if spans[0].kind == RECEIPT:
                return spans
        if entry.fact:
            rule = _FACTS.get(type(entry.fact.what))
            spans += rule(self, entry, entry.fact.what) if rule else []
            self._note(entry, entry.fact, spans)
        elif other := _OTHERS.get(entry.type):
            spans += other(self, entry)
        by = spans[-1].span_id if spans else None
        return spans + [span for id in entry.data.get("settled", ()) for span in self.flaws.settled(entry, id, by)]

    @property
    def open(self) -> list[OpenSpan]:
        """What has begun and not ended: attempts, nonconformances, holds."""
        return sorted([*self.work.open, *self.flaws.open], key=lambda one: (one.started_at, one.name))

    def moment(self, entry: Recorded, kind: str, name: str, **told: Any) -> list[Span]:
        """What happened in one moment and needs no more words."""
        return [self.teller.tell(entry, kind, name, told=told)]

    def opened(self, entry: Recorded) -> list[Span]:
        """A nonconformance, because of a fact that was told before it."""
        by = entry.data.get("opened_by") or {}
        return self.flaws.opened(entry, self.openers.get((by.get("source", ""), by.get("id", ""))))

    def completed(self, entry: Recorded) -> list[Span]:
        """The unit is complete since the fact that made it so, which was recorded with this."""
        cause = self._cause(entry)
        at = cause.moment if cause else entry.at
        return [self.teller.tell(entry, "completion", "complete", at, at, told={})]

    def refolded(self, entry: Recorded) -> list[Span]:
        """A late fact made the unit be worked out again."""
        state = entry.data.get("state", {})
        cause = self._cause(entry)
        told = {"state.before": state.get("before"), "state.after": state.get("after")}
        links = (self.teller.link(cause.span_id if cause else None, Relation.CAUSED_BY),)
        return [
            self.teller.tell(entry, "correction", "work out again", links=links, told=told),
            *self.flaws.known_anew(entry),
        ]

    def _cause(self, entry: Recorded) -> _Newest | None:
        """The newest fact, if it was recorded together with an entry that tells what came of it."""
        return self._newest if self._newest and self._newest.recorded_at == entry.at else None

    def _note(self, entry: Recorded, fact: facts.Entry, spans: list[Span]) -> None:
        """Keep what later entries may refer to: the newest fact, and those that a nonconformance may be opened by."""
        if not spans:
            return
        self._newest = _Newest(entry.at, entry.moment, spans[-1].span_id)
        if spans[-1].status is Status.ERROR or isinstance(fact.what, facts.ShipmentDecided):
            for key in (fact.key, *_told_keys(fact)):
                self.openers[key.source, key.id] = Opener(spans[-1].span_id, key.at)


def _told_keys(fact: facts.Entry) -> list[facts.Key]:
    """What a recording comes to on the floor has names of its own, by which a nonconformance is opened."""
    return [one.key for one in facts.told_of_run(fact)] if isinstance(fact.what, facts.RunRecorded) else []


def _root(teller: Teller, entry: Recorded) -> Span:
    what = entry.fact.what if entry.fact else None
    if isinstance(what, facts.PartReceived):
        return teller.make_root(entry, RECEIPT, RECEIPT, {"part": what.part})
    if what is None and entry.type == "mes.unit.created":
        told = {name: entry.data.get(name) for name in ("part", "revision", "work_order")}
        return teller.make_root(entry, "release", "release", told)
    part = what.part if isinstance(what, facts.PartInstalled) and what.child == teller.unit_id else None
    return teller.make_root(entry, "first_seen", "first seen", {"part": part})


def _identified(trace: UnitTrace, entry: Recorded, what: facts.UnitIdentified) -> list[Span]:
    identifiers = tuple(f"{kind}={value}" for kind, value in what.identifiers)
    return trace.moment(entry, "identification", "identify", identifiers=identifiers)


def _shipped(trace: UnitTrace, entry: Recorded, what: facts.UnitShipped | facts.ShipmentDecided) -> list[Span]:
    return trace.moment(entry, "shipment", "ship", order=what.order, to=what.to, operator=entry.data.get("by"))


def _recorded(trace: UnitTrace, entry: Recorded, what: facts.RunRecorded) -> list[Span]:
    """A run that was told line by line: what its end came to."""
    told = facts.told_of_run(entry.fact) if entry.fact and what.verdict else []
    return [
        span for one in told if isinstance(one.what, facts.RunReported) for span in trace.work.reported(entry, one.what)
    ]


_FACTS: Mapping[type, Callable[[UnitTrace, Recorded, Any], list[Span]]] = {
    facts.PartReceived: lambda trace, entry, _: trace.moment(entry, RECEIPT, RECEIPT),
    facts.UnitIdentified: _identified,
    facts.StepAnswered: lambda trace, entry, what: trace.work.answered(entry, what),
    facts.StepStarted: lambda trace, entry, what: trace.work.started(entry, what),
    facts.StepCompleted: lambda trace, entry, what: trace.work.completed(entry, what),
    facts.RunReported: lambda trace, entry, what: trace.work.reported(entry, what),
    facts.RunRecorded: _recorded,
    facts.RunRecorded: lambda trace, entry, _: trace.work.recorded(entry, entry.fact) if entry.fact else [],
    facts.RunInterrupted: lambda trace, entry, what: trace.work.interrupted(entry, what),
    facts.PartInstalled: lambda trace, entry, what: trace.parts.installed(entry, what),
    facts.PartRemoved: lambda trace, entry, what: trace.parts.removed(entry, what),
    facts.Disposed: lambda trace, entry, what: trace.flaws.disposed(entry, what),
    facts.UnitPacked: lambda trace, entry, what: trace.moment(entry, "packing", "pack", into=what.into),
    facts.UnitShipped: _shipped,
    facts.ShipmentDecided: _shipped,
}
_OTHERS: Mapping[str, Callable[[UnitTrace, Recorded], list[Span]]] = {
    "mes.nonconformance.opened": lambda trace, entry: trace.opened(entry),
    "mes.nonconformance.diagnosed": lambda trace, entry: trace.flaws.said(entry),
    "mes.nonconformance.repaired": lambda trace, entry: trace.flaws.said(entry),
    "mes.hold.placed": lambda trace, entry: trace.flaws.held(entry),
    "mes.hold.released": lambda trace, entry: trace.flaws.freed(entry),
    "mes.unit.completed": lambda trace, entry: trace.completed(entry),
    "mes.unit.scrapped": lambda trace, entry: trace.moment(entry, "scrapping", "scrap", operator=entry.data.get("by")),
    "mes.unit.refolded": lambda trace, entry: trace.refolded(entry),
}
