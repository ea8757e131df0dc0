"""A unit's attempts at its steps, as its trace follows them: which start belongs to which end.

It goes by what was recorded so far, in that order, and never waits for what might still come: an attempt whose end was
recorded is closed. When a late fact tells that it began earlier, or that an interrupted one did end, it is told again
as a correction.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from mes.domain.facts import INTERRUPTED, RunInterrupted, RunReported, StepCompleted, StepStarted

ENDED_KEPT_MAX = 256
"""Ended attempts of one unit to which a late fact is still matched; those beyond are not corrected any more."""


@dataclass(slots=True, eq=False)
class Attempt:
    """One attempt. `start_told`: its start was a fact of its own. `span_id` is that of the newest span told of it."""

    step: str
    station: str
    run: str | None
    started_at: datetime
    start_told: bool
    opened_by: str
    ended_at: datetime | None = None
    outcome: str | None = None
    span_id: str | None = None


class Attempts:
    """The attempts of one unit. What ended, or has to be told again, is returned by what is called."""

    def __init__(self) -> None:
        self.open: list[Attempt] = []
        self._ended: list[Attempt] = []

    def start(self, entry_id: str, at: datetime, what: StepStarted) -> list[Attempt]:
        """A station began; returns the older attempts that this interrupts, or what it tells of an ended one."""
        if what.run and self._named(what.station.name, what.run, start_told=True):
            return []
        if late := self._ended_without_start(what, at):
            late.started_at, late.start_told = at, True
            return [late]
        new = Attempt(what.step, what.station.name, what.run, at, True, entry_id)
        later = [one.started_at for one in self._tries(what.step) if one.started_at > at]
        if later:
            self._end(new, min(later), INTERRUPTED)
            return [new]
        ended = self._interrupt(what.step, at)
        self.open.append(new)
        return ended

    def end(self, entry_id: str, at: datetime, what: StepCompleted | RunReported, outcome: str) -> list[Attempt]:
        """A station ended an attempt, the last of those that are returned; before it those that this interrupts.

        Empty where it only says again how a run ended.
        """
        attempt = self._to_end(what)
        ended: list[Attempt] = []
        if attempt is None:
            if (same := self.of_run(what)) and same.outcome == outcome:
                return []
            started_at = what.started_at if isinstance(what, RunReported) else at
            attempt = Attempt(what.step, what.station.name, what.run, started_at, False, entry_id)
            ended = self._interrupt(what.step, started_at)
        attempt.run = attempt.run or what.run
        self._end(attempt, at, outcome)
        return [*ended, attempt]

    def let_go(self, at: datetime, what: RunReported, outcome: str) -> list[Attempt]:
        """A run that is no attempt of the route ended; returns the attempt that had been opened for it."""
        mine = [one for one in self.open if what.run and (one.station, one.run) == (what.station.name, what.run)]
        for one in mine:
            self._end(one, at, outcome)
        return mine

    def interrupt(self, at: datetime, what: RunInterrupted) -> list[Attempt]:
        """The end of a run is not waited for any longer; returns its attempt if that was still open."""
        mine = [
            one for one in self.open if (one.step, one.station, one.run) == (what.step, what.station.name, what.run)
        ]
        for one in mine:
            self._end(one, at, INTERRUPTED)
        return mine

    def tell_again(self, what: RunReported) -> list[Attempt]:
        """A run that had ended turns out to have ended otherwise; returns its attempt."""
        attempt = self.of_run(what)
        if attempt is None:
            return []
        attempt.started_at, attempt.ended_at, attempt.outcome = what.started_at, what.ended_at, what.verdict
        return [attempt]

    def of_run(self, what: StepCompleted | RunReported) -> Attempt | None:
        """The ended attempt that has the run's name."""
        return self._named(what.station.name, what.run) if what.run else None

    def _end(self, attempt: Attempt, at: datetime, outcome: str) -> None:
        if attempt in self.open:
            self.open.remove(attempt)
        if attempt not in self._ended:
            self._ended.append(attempt)
            del self._ended[:-ENDED_KEPT_MAX]
        attempt.ended_at, attempt.outcome = at, outcome

    def _interrupt(self, step: str, at: datetime) -> list[Attempt]:
        older = [one for one in self.open if one.step == step and one.started_at <= at]
        for one in older:
            self._end(one, at, INTERRUPTED)
        return older

    def _to_end(self, what: StepCompleted | RunReported) -> Attempt | None:
        """Its run's attempt, which may have been given up; else, where one of them names no run, the station's."""
        here = [one for one in self._tries(what.step) if one.station == what.station.name and self._may_end(one)]
        if what.run:
            named = next((one for one in here if one.run == what.run), None)
            if named or self.of_run(what):
                return named
        fits = (one for one in here if one.ended_at is None and not (what.run and one.run))
        return next(fits, None)

    def _may_end(self, one: Attempt) -> bool:
        return one.ended_at is None or (one.outcome == INTERRUPTED and one.run is not None)

    def _tries(self, step: str) -> Iterator[Attempt]:
        return (one for one in (*self.open, *self._ended) if one.step == step)

    def _named(self, station: str, run: str, *, start_told: bool = False) -> Attempt | None:
        known = self._ended if not start_told else [one for one in (*self.open, *self._ended) if one.start_told]
        return next((one for one in reversed(known) if (one.station, one.run) == (station, run)), None)

    def _ended_without_start(self, what: StepStarted, at: datetime) -> Attempt | None:
        """The attempt that a late start belongs to: its run's, or else the first that ended after it."""
        fits = [
            one
            for one in self._ended
            if not one.start_told
            and (one.step, one.station) == (what.step, what.station.name)
            and (not what.run or not one.run or what.run == one.run)
            and one.ended_at is not None
            and (at < one.ended_at or at == one.started_at)
        ]
        return min(fits, key=lambda one: one.started_at, default=None)
