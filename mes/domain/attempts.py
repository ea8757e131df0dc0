"""Attempts at a unit's steps: how one opens, how it ends, and what its end moves.

FAIL is the product's: it always fails the step and opens a nonconformance. A pass passes the step only if nothing
blocking was noted at its start or end. ERROR and the rest are the station's: they end the attempt and move nothing.
"""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from mes.domain import live_limits
from mes.domain.facts import (
    FAIL,
    INTERRUPTED,
    PASS,
    PRODUCTION,
    SKIPPED,
    Key,
    RunInterrupted,
    RunReported,
    Station,
    StepAnswered,
    StepCompleted,
    StepStarted,
)
from mes.domain.gates import BLOCKING, not_asked, open_before, reasons_against, reasons_against_counting, unfilled
from mes.domain.nonconformance import PASSED_ON_RETEST
from mes.domain.progress import PASSED, Attempt, OpenAttempt
from mes.domain.refusals import Reason, reason
from mes.domain.turn import Turn

NOT_ASKED: Final = "not_asked"
CLOCK_BEHIND_MAX: Final = timedelta(seconds=5)
"""A clock that is further behind is told so at the station; its starts are told apart from those not asked for."""


class End(NamedTuple):
    """How an attempt ended; `duration_s` None: from the attempt's own start to `at`."""

    outcome: str
    claim: str
    at: datetime
    started_at: datetime
    duration_s: float | None = None
    run_id: str | None = None


def started(turn: Turn, what: StepStarted) -> None:
    """Open an attempt, unless the fact only names one that is known."""
    if what.run and _is_known(turn, what.station.name, what.run):
        return
    if not what.run:
        live_limits.begins(turn, what.station.name, what.step)
    opened = _open(turn, what, turn.key.at)
    turn.attempts.append(_as_recorded(opened))
    turn.settle()


def completed(turn: Turn, what: StepCompleted) -> None:
    """End a step that measures nothing."""
    attempt = _ended_attempt(turn, what)
    begun = attempt.started_at if attempt else turn.key.at
    _end(turn, what, attempt, End(what.outcome, what.outcome, turn.key.at, begun))


def reported(turn: Turn, what: RunReported) -> None:
    """End an attempt with the verdict of its values."""
    attempt = _ended_attempt(turn, what)
    if what.purpose != PRODUCTION:
        _set_aside(turn, what, attempt)
        return
    took_s = (what.ended_at - what.started_at).total_seconds()
    _end(turn, what, attempt, End(what.verdict, what.claim, what.ended_at, what.started_at, took_s, what.run_id))


def interrupted(turn: Turn, what: RunInterrupted) -> None:
    """The run's end is not waited for any longer; it may still come."""
    for attempt in turn.progress.in_progress(what.step):
        if (attempt.station, attempt.run) == (what.station.name, what.run):
            _interrupt(turn, attempt, turn.key.at)
            turn.settle()


def reconsider(turn: Turn) -> None:
    """Forgive what was missing at an attempt's start if it came in the same instant.

    Stations stamp whole seconds: the end of a step, or a scan, and the start of the next step often carry the same
    time, and the order of the floor then puts the start first.
    """
    for attempt in turn.progress.open:
        if attempt.opened_by.at != turn.key.at or not attempt.deviations:
            continue
        forgiven = {code for code in attempt.deviations if _came_in_time(turn, attempt.step, code)}
        if forgiven:
            attempt.deviations = tuple(code for code in attempt.deviations if code not in forgiven)
            turn.attempts.append(_as_recorded(attempt))


def granted(turn: Turn, what: StepAnswered) -> None:
    """Forgive a start that it seems not to have been asked for: its station's clock is a little behind ours.

    It began by that before it was granted. Whoever has a step in progress is granted none, so it did ask first.
    """
    for attempt in turn.progress.in_progress(what.step):
        since = turn.key.at - attempt.started_at
        if attempt.station == what.station.name and NOT_ASKED in attempt.deviations and since <= CLOCK_BEHIND_MAX:
            attempt.deviations = tuple(code for code in attempt.deviations if code != NOT_ASKED)
            turn.attempts.append(_as_recorded(attempt))
            turn.asked.append(attempt.opened_by)


def _came_in_time(turn: Turn, step: str, code: str) -> bool:
    if code == "predecessor_open":
        return not open_before(turn.progress, turn.route, step)
    if code == "as_built_incomplete":
        return not unfilled(turn.progress, turn.route.installs_before[step])
    return False


def _is_known(turn: Turn, station: str, run: str) -> bool:
    """Whether an attempt of that run is open, interrupted or ended."""
    return f"{station}/{run}" in turn.progress.ended_runs or any(
        one.station == station and one.run == run for one in turn.progress.open
    )


def _open(turn: Turn, what: StepStarted | StepCompleted | RunReported, started_at: datetime) -> OpenAttempt:
    """A new attempt with all that speaks against it noted; it interrupts older ones of its step."""
    found = _against(turn, what.step, what.station, started_at)
    turn.deviations.extend(found)
    step = turn.progress.step(what.step)
    step.attempts += 1
    _interrupt_older(turn, what.step, started_at)
    opened = OpenAttempt(
        step=what.step,
        number=step.attempts,
        station=what.station.name,
        run=what.run,
        started_at=started_at,
        opened_by=turn.key,
        deviations=tuple([one.code for one in found]),
        has_operator=bool(what.operator),
    )
    turn.progress.open.append(opened)
    return opened


def _against(turn: Turn, step: str, station: Station, at: datetime) -> list[Reason]:
    definition = turn.route.definition
    found = list(reasons_against(turn.progress, definition, step, station, at, turn.holds, turn.order_closed_at))
    if not_asked(turn.progress, step, station, at):
        found.append(reason(NOT_ASKED, step=step, station=station.name))
    return found


def _interrupt_older(turn: Turn, step: str, started_at: datetime) -> None:
    """No end came of those: they are interrupted. Of one with a run name the end may still come."""
    for attempt in turn.progress.in_progress(step):
        if attempt.started_at <= started_at:
            _interrupt(turn, attempt, started_at)


def _interrupt(turn: Turn, attempt: OpenAttempt, at: datetime) -> None:
    if attempt.run:
        attempt.interrupted = True
    else:
        turn.progress.open.remove(attempt)
    turn.attempts.append(_as_recorded(attempt, outcome=INTERRUPTED, ended_at=at, closed_by=turn.key))


def _ended_attempt(turn: Turn, what: StepCompleted | RunReported) -> OpenAttempt | None:
    """The attempt that a fact ends: its run's; else, where one of them names no run, the station's open one."""
    here = [one for one in turn.progress.open if one.step == what.step and one.station == what.station.name]
    if what.run:
        named = next((one for one in here if one.run == what.run), None)
        if named or f"{what.station.name}/{what.run}" in turn.progress.ended_runs:
            return named
    fits = (one for one in here if not one.interrupted and not (what.run and one.run))
    return next(fits, None)


def _set_aside(turn: Turn, what: RunReported, attempt: OpenAttempt | None) -> None:
    """A golden, gauge or engineering run is no attempt of the route; one that was opened for it is let go.

    Where its telemetry did not say so, a limit that was watched has failed the step by now: the run says that.
    """
    if what.run and (broken := live_limits.ended(turn, what.station.name, what.step, what.run)):
        turn.deviations.append(broken)
    if attempt is None or not what.run or attempt.run != what.run:
        return
    turn.progress.open.remove(attempt)
    turn.progress.ended_runs[f"{attempt.station}/{attempt.run}"] = SKIPPED
    turn.attempts.append(
        _as_recorded(
            attempt, outcome=SKIPPED, claim=what.claim, run_id=what.run_id, ended_at=what.ended_at, closed_by=turn.key
        )
    )


def _end(turn: Turn, what: StepCompleted | RunReported, attempt: OpenAttempt | None, end: End) -> None:
    name = f"{what.station.name}/{what.run}"
    earlier = turn.progress.ended_runs.get(name) if what.run else None
    if attempt is None and earlier == end.outcome:
        return  # the same end, said in two ways
    if attempt is None:
        attempt = _open(turn, what, end.started_at)
    attempt.run = attempt.run or what.run
    attempt.has_operator = attempt.has_operator or bool(what.operator)
    turn.progress.open.remove(attempt)
    broken = live_limits.ended(turn, attempt.station, attempt.step, attempt.run)
    if broken:
        end = end._replace(outcome=FAIL)
    if what.run:
        turn.progress.ended_runs[name] = end.outcome
    added = [broken] if broken else _noted_at_end(turn, attempt, end)
    if earlier:
        added.append(reason("conflicting_report", run=what.run, before=earlier, now=end.outcome))
    if added:
        turn.deviations.extend(added)
        attempt.deviations = tuple(dict.fromkeys((*attempt.deviations, *(one.code for one in added))))
    counted = bool(broken) or _moves(turn, attempt, end.outcome)
    turn.attempts.append(
        _as_recorded(
            attempt,
            run_id=end.run_id,
            ended_at=end.at,
            claim=end.claim,
            outcome=end.outcome,
            counted=counted,
            closed_by=turn.key,
        )
    )
    turn.settle()


def _noted_at_end(turn: Turn, attempt: OpenAttempt, end: End) -> list[Reason]:
    found: list[Reason] = []
    if turn.progress.is_closed and "unit_closed" not in attempt.deviations:
        found.append(reason("unit_closed", state=turn.progress.state.value))
    if end.outcome == PASS:
        took_s = (end.at - attempt.started_at).total_seconds() if end.duration_s is None else end.duration_s
        found.extend(reasons_against_counting(turn.progress, turn.route, attempt, took_s))
        found.extend(_unmeasured(turn, attempt, end))
    return found


def _unmeasured(turn: Turn, attempt: OpenAttempt, end: End) -> list[Reason]:
    """A step that needs values passes by a run that reports them, never by a station's bare word."""
    step = turn.route.steps.get(attempt.step)
    if step is None or not step.needs or end.run_id:
        return []
    text = f"{step.step} passes by a run that reports {', '.join(step.needs)}, not by the end of a step alone."
    return [reason("characteristic_missing", text, step=step.step, needs=list(step.needs))]


def _moves(turn: Turn, attempt: OpenAttempt, outcome: str) -> bool:
    """Pass or fail the step if the attempt's end may; whether it did."""
    if attempt.step not in turn.route.steps or turn.progress.is_closed:
        return False
    if outcome == FAIL:
        turn.fail(attempt.step)
        return True
    if outcome == PASS and not BLOCKING.intersection(attempt.deviations):
        _pass(turn, attempt.step)
        return True
    return False


def _pass(turn: Turn, name: str) -> None:
    """The step passed: what had failed in it is settled, and its grants have served."""
    progress = turn.progress
    progress.steps[name].result = PASSED
    for id in [id for id, step in progress.nonconformances.items() if step == name]:
        turn.close_nonconformance(id, PASSED_ON_RETEST)
    for grant in [grant for grant in progress.grants if grant.startswith(f"{name}/")]:
        del progress.grants[grant]


def _as_recorded(
    attempt: OpenAttempt,
    *,
    run_id: str | None = None,
    ended_at: datetime | None = None,
    claim: str | None = None,
    outcome: str | None = None,
    counted: bool = False,
    closed_by: Key | None = None,
) -> Attempt:
    return Attempt(
        attempt.step,
        attempt.number,
        attempt.station,
        attempt.run,
        run_id,
        attempt.started_at,
        ended_at,
        claim,
        outcome,
        counted,
        attempt.deviations,
        attempt.opened_by,
        closed_by,
    )
