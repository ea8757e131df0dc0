"""First-pass yield: of all first attempts that the product passed or failed, how many passed.

It comes from immutable runs, never from what a unit is now: a retest that passes changes nothing. Only production
counts, and a run that ended in error tells about the station, nothing about the product: the next one is first.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from mes.domain.facts import FAIL, PASS, PRODUCTION


class JudgedRun(NamedTuple):
    """What a yield needs to know of a run; `id` settles which of two that ended together is first."""

    id: str
    unit: str
    step: str
    station: str
    ended_at: datetime
    verdict: str
    purpose: str = PRODUCTION


class Yield(NamedTuple):
    """`passed` of `judged` first attempts."""

    passed: int
    judged: int

    @property
    def share(self) -> float | None:
        """From 0 to 1; None while nothing was judged."""
        return self.passed / self.judged if self.judged else None


def counts(run: JudgedRun) -> bool:
    """Whether a run says something about the product."""
    return run.purpose == PRODUCTION and run.verdict in (PASS, FAIL)


def first_runs(runs: Iterable[JudgedRun]) -> Mapping[tuple[str, str], JudgedRun]:
    """The first run of each unit and step that counts, in whatever order they come."""
    first: dict[tuple[str, str], JudgedRun] = {}
    for run in runs:
        if counts(run):
            take_first(first, run)
    return first


def take_first(first: dict[tuple[str, str], JudgedRun], run: JudgedRun) -> None:
    """Note one more run that counts: it replaces a later one of its unit and step."""
    known = first.get((run.unit, run.step))
    if known is None or (run.ended_at, run.id) < (known.ended_at, known.id):
        first[run.unit, run.step] = run


def first_pass(runs: Iterable[JudgedRun], start: datetime, end: datetime) -> Yield:
    """First-pass yield of first runs that ended from `start` to before `end`."""
    verdicts = [run.verdict for run in runs if start <= run.ended_at < end]
    return Yield(verdicts.count(PASS), len(verdicts))
