"""Steps and runs in a unit's trace: each attempt is a span once it has ended, and its run a span under it."""

from datetime import datetime
from typing import Any, NamedTuple

from mes.domain.facts import (
    PRODUCTION,
    SKIPPED,
    Entry,
    RunInterrupted,
    RunReported,
    StepAnswered,
    StepCompleted,
    StepStarted,
    told_of_run,
)
from mes.domain.trace.attempts import Attempt, Attempts
from mes.domain.trace.spans import OpenSpan, Relation, Span, Status
from mes.domain.trace.telling import Recorded, Teller, attributes_of, status_of


class _Recorded(NamedTuple):
    """The end of a run that was recorded line by line, as it was told last, and the span that told it."""

    what: RunReported
    span_id: str


class Work:
    """What was done to a unit, step by step."""

    def __init__(self, teller: Teller) -> None:
        self._teller = teller
        self._attempts = Attempts()
        self._recorded: dict[str, _Recorded] = {}

    def started(self, entry: Recorded, what: StepStarted, at: datetime | None = None) -> list[Span]:
        """Older attempts that the start interrupts, or an ended one that it tells more of."""
        return [self._attempt(entry, one) for one in self._attempts.start(entry.id, at or entry.moment, what)]

    def completed(self, entry: Recorded, what: StepCompleted) -> list[Span]:
        """The attempt that ended."""
        ended = self._attempts.end(entry.id, entry.moment, what, what.outcome)
        return [self._attempt(entry, one, operator=what.operator) for one in ended]

    def reported(self, entry: Recorded, what: RunReported) -> list[Span]:
        """The attempt that ended, and the run under it; a run that is no attempt of the route stands alone."""
        if what.purpose == PRODUCTION:
            ended = self._attempts.end(entry.id, what.ended_at, what, what.verdict)
        else:
            ended = self._attempts.let_go(what.ended_at, what, SKIPPED)
        spans = [self._attempt(entry, one, operator=what.operator) for one in ended]
        of_run = ended[-1] if ended else self._attempts.of_run(what)
        return [*spans, self._run(entry, what, of_run.span_id if of_run else None)]

    def recorded(self, entry: Recorded, fact: Entry) -> list[Span]:
        """What a message of a stream makes of its run: it has begun, it has ended, or it ended otherwise than told."""
        spans = []
        for one in told_of_run(fact):
            if isinstance(one.what, StepStarted):
                spans += self.started(entry, one.what, one.at)
            elif isinstance(one.what, RunReported):
                spans += self._recorded_end(entry, one.what)
        return spans

    def interrupted(self, entry: Recorded, what: RunInterrupted) -> list[Span]:
        """A run whose end is not waited for any longer."""
        return [self._attempt(entry, one) for one in self._attempts.interrupt(entry.moment, what)]

    def _recorded_end(self, entry: Recorded, what: RunReported) -> list[Span]:
        known = self._recorded.get(what.run_id)
        if known and known.what == what:
            return []
        if known is None:
            spans = self.reported(entry, what)
        else:
            again = self._attempts.tell_again(what) if what.purpose == PRODUCTION else []
            spans = [self._attempt(entry, one, operator=what.operator) for one in again]
            spans.append(self._run(entry, what, spans[-1].span_id if spans else None, known.span_id))
        self._recorded[what.run_id] = _Recorded(what, spans[-1].span_id)
        return spans

    def answered(self, entry: Recorded, what: StepAnswered) -> list[Span]:
        """An ask and its answer."""
        status = Status.OK if what.granted else Status.ERROR
        told: dict[str, Any] = {"step": what.step, "station": what.station.name, "granted": what.granted}
        return [self._teller.tell(entry, "ask", f"ask {what.step}", status=status, told=told)]

    @property
    def open(self) -> list[OpenSpan]:
        """Attempts that go on."""
        return [
            OpenSpan("step", f"step {one.step}", one.started_at, attributes_of(_told(one)))
            for one in self._attempts.open
        ]

    def _attempt(self, entry: Recorded, one: Attempt, operator: str | None = None) -> Span:
        """An attempt that ended, or that has to be told again."""
        span = self._teller.tell(
            entry,
            "step",
            f"step {one.step}",
            one.started_at,
            one.ended_at,
            role=f"step/{one.opened_by}",
            status=status_of(one.outcome),
            links=(self._teller.link(one.span_id, Relation.CORRECTS),),
            told={**_told(one), "operator": operator},
        )
        one.span_id = span.span_id
        return span

    def _run(self, entry: Recorded, what: RunReported, parent: str | None, corrected: str | None = None) -> Span:
        data = entry.data
        told: dict[str, Any] = {
            "step": what.step,
            "station": what.station.name,
            "station.kind": what.station.kind,
            "run": what.run,
            "run.id": what.run_id,
            "purpose": what.purpose,
            "claim": what.claim,
            "verdict": what.verdict,
            "values": data.get("values"),
            "failed": tuple(data.get("failed", ())),
            "reasons": tuple(data.get("reasons", ())),
            "operator": what.operator,
        }
        return self._teller.tell(
            entry,
            "run",
            f"run {what.step}",
            what.started_at,
            what.ended_at,
            role="run",
            parent=parent,
            status=status_of(what.verdict),
            links=(self._teller.link(corrected, Relation.CORRECTS),),
            told=told,
        )


def _told(one: Attempt) -> dict[str, Any]:
    return {"step": one.step, "station": one.station, "run": one.run, "outcome": one.outcome}
