"""Nonconformances and holds in a unit's trace: each is a span once it is settled.

What people said in between (diagnosis, repair, disposition) are moments of their own, told at once.
"""

from datetime import datetime
from typing import Any, NamedTuple

from mes.domain.facts import Disposed
from mes.domain.trace.spans import OpenSpan, Relation, Span, Status
from mes.domain.trace.telling import Recorded, Teller, attributes_of

OPEN, CLOSED, WITHDRAWN = "open", "closed", "withdrawn"
"""What is known of a nonconformance; `withdrawn`: a late fact showed that it never was."""
_SAID = {
    "mes.nonconformance.diagnosed": ("diagnosis", "diagnose", "diagnosis"),
    "mes.nonconformance.repaired": ("repair", "repair", "repair"),
}


class Opener(NamedTuple):
    """The fact that made a nonconformance be opened: the span that told it, and when it happened."""

    span_id: str
    at: datetime


class _Flaw(NamedTuple):
    step: str
    kind: str
    opened_at: datetime
    opener: str | None
    state: str = OPEN
    told: str | None = None


class _Hold(NamedTuple):
    since: datetime
    reason: str | None
    by: Any


class Flaws:
    """What stood against a unit."""

    def __init__(self, teller: Teller) -> None:
        self._teller = teller
        self._flaws: dict[str, _Flaw] = {}
        self._holds: dict[str, _Hold] = {}

    def opened(self, entry: Recorded, opener: Opener | None) -> list[Span]:
        """Told when it is settled; until then the failure itself is there to see."""
        step, kind = entry.data.get("step") or "", entry.data.get("kind") or ""
        began = opener or Opener("", entry.at)
        self._flaws[entry.subject_of_kind("nonconformance")] = _Flaw(step, kind, began.at, began.span_id or None)
        return []

    def settled(self, entry: Recorded, id: str, by: str | None) -> list[Span]:
        """A fact or decision settled it; `by` is the span that tells of that."""
        return self._moved(entry, id, CLOSED, entry.moment, by)

    def known_anew(self, entry: Recorded) -> list[Span]:
        """The unit was worked out again: what stands now of each, by id when it was settled or None."""
        now = entry.data.get("nonconformances", {})
        spans = []
        for id in list(self._flaws):
            closed_at = now.get(id)
            state = WITHDRAWN if id not in now else CLOSED if closed_at else OPEN
            at = datetime.fromisoformat(closed_at) if closed_at else entry.at
            spans += self._moved(entry, id, state, at, None)
        return spans

    def said(self, entry: Recorded) -> list[Span]:
        """A diagnosis or a repair."""
        kind, verb, told = _SAID[entry.type]
        return [self._moment(entry, kind, verb, text=entry.data.get(told))]

    def disposed(self, entry: Recorded, what: Disposed) -> list[Span]:
        """What was decided to become of the unit."""
        return [self._moment(entry, "disposition", "dispose", ruling=what.ruling, text=entry.data.get("reason"))]

    def held(self, entry: Recorded) -> list[Span]:
        """A hold was placed; told when it is released."""
        self._holds[entry.data["hold"]] = _Hold(entry.at, entry.data.get("reason"), entry.data.get("by"))
        return []

    def freed(self, entry: Recorded) -> list[Span]:
        """A hold was released."""
        id = entry.data["hold"]
        hold = self._holds.pop(id, None) or _Hold(entry.at, None, None)
        told = {"hold": id, "reason": hold.reason, "placed_by": hold.by, "released_by": entry.data.get("by")}
        return [self._teller.tell(entry, "hold", "hold", hold.since, told=told)]

    @property
    def open(self) -> list[OpenSpan]:
        """What is not settled or released yet."""
        flaws = [
            OpenSpan("nonconformance", _named("nonconformance", one.step), one.opened_at, attributes_of(_told(id, one)))
            for id, one in self._flaws.items()
            if one.state == OPEN
        ]
        return flaws + [
            OpenSpan("hold", "hold", one.since, attributes_of({"hold": id, "reason": one.reason}))
            for id, one in self._holds.items()
        ]

    def _moved(self, entry: Recorded, id: str, state: str, at: datetime, by: str | None) -> list[Span]:
        """Tell of a nonconformance that is settled, or that turns out to be otherwise than was told."""
        flaw = self._flaws.get(id)
        if flaw is None or flaw.state == state:
            return []
        link = self._teller.link
        span = self._teller.tell(
            entry,
            "nonconformance",
            _named("nonconformance", flaw.step),
            flaw.opened_at,
            max(at, flaw.opened_at),
            role=f"nonconformance/{id}",
            status=Status.ERROR if state == OPEN else Status.UNSET,
            links=(
                link(flaw.opener, Relation.OPENED_BY),
                link(by, Relation.SETTLED_BY),
                link(flaw.told, Relation.CORRECTS),
            ),
            told={**_told(id, flaw), "state": state, "deviations": ()},
        )
        self._flaws[id] = flaw._replace(state=state, told=span.span_id)
        return [span]

    def _moment(self, entry: Recorded, kind: str, verb: str, **told: Any) -> Span:
        id, by = entry.subject_of_kind("nonconformance"), entry.data.get("by")
        return self._teller.tell(
            entry,
            kind,
            _named(verb, entry.data.get("step")),
            told={"nonconformance": id, "operator": by, **told},
        )


def _named(verb: str, step: str | None) -> str:
    return f"{verb} {step}" if step else verb


def _told(id: str, flaw: _Flaw) -> dict[str, Any]:
    return {"nonconformance": id, "step": flaw.step, "kind": flaw.kind}
