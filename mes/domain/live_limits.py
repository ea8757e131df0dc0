"""A run fails while it is on: the moment a watched channel has been beyond its limits for too long.

The bridge between telemetry and the units: stays beyond limits that lasted too long become `LimitBroken` events of the
unit. The step fails and a nonconformance is opened at once, without waiting for the station's report; how the station
ends the run, by then, changes nothing of it. What was measured after a run's end is no part of it.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from mes.domain.facts import Entry, Key, SamplesTaken, Station, UnitId, entry
from mes.domain.progress import PASSED, Failing, OpenAttempt, Progress
from mes.domain.refusals import Reason, reason
from mes.domain.turn import Turn
from mes.domain.watch import Excursion, Stay, joined, stay_of

CODE = "limit_broken_live"
_NOBODY = Station("", "")


class Series(NamedTuple):
    """Which channel of which run a stay belongs to. `run` is the station's own name; empty where it gave none."""

    unit: UnitId
    station: str
    step: str
    run: str
    channel: str


class LimitBroken(NamedTuple):
    """From this moment on a channel has been beyond its limits for longer than it may.

    Its key is that of the message in which the stay begins, at the moment. What it came to later is not in it: the
    event stays the same however long the stay goes on.
    """

    key: Key
    series: Series

    @property
    def unit(self) -> UnitId:
        return self.series.unit


def series_of(what: SamplesTaken, one: Excursion) -> Series:
    """Whose excursion it is."""
    return Series(what.unit, what.station.name, what.step, what.run or "", one.channel)


def stays_in(told: Entry) -> list[tuple[Series, Stay]]:
    """What the excursions of one message of samples come to alone."""
    what = told.what
    if not isinstance(what, SamplesTaken) or not what.excursions or what.start is None:
        return []
    return [(series_of(what, one), stay_of(one, what.start, *told.key[2:])) for one in what.excursions]


def event_of(series: Series, stay: Stay) -> LimitBroken | None:
    """The event that a stay is, if it lasted too long."""
    at = stay.broke_at
    if at is None:
        return None
    about = SamplesTaken(series.unit, series.step, _NOBODY)
    return LimitBroken(entry(at, stay.source, stay.id, about).key, series)


def breaks(entries: Iterable[Entry]) -> dict[UnitId, list[LimitBroken]]:
    """Every limit that was broken by what a set of entries tells, by unit."""
    stays: dict[Series, list[Stay]] = defaultdict(list)
    for told in sorted(entries, key=lambda one: one.key):
        for series, one in stays_in(told):
            met, stay = joined(stays[series], one)
            stays[series] = [*(known for known in stays[series] if known not in met), stay]
    found: dict[UnitId, list[LimitBroken]] = defaultdict(list)
    for series, known in stays.items():
        found[series.unit].extend(event for stay in known if (event := event_of(series, stay)))
    return found


def broke(turn: Turn, event: LimitBroken) -> None:
    """Fail the run in which a limit was broken, unless it is over."""
    series, progress = event.series, turn.progress
    if series.run and f"{series.station}/{series.run}" in progress.ended_runs:
        return
    attempt = _attempt(progress, series)
    run = series.run or (attempt.run if attempt else None)
    if any(_is_about(one, series.station, series.step, run) for one in progress.failing):
        return
    progress.failing.append(Failing(series.station, series.step, run, series.channel))
    if attempt is None and run is None and progress.result(series.step) == PASSED:
        return  # it may be of a run that is reported when it is over: the run fails then
    if series.step in turn.route.steps and not progress.is_closed:
        turn.fail(series.step)
        turn.settle()


def _attempt(progress: Progress, series: Series) -> OpenAttempt | None:
    """The station's open attempt that telemetry belongs to; where one of them has no name, the names need not agree."""
    here = [one for one in progress.in_progress(series.step) if one.station == series.station]
    named = (one for one in here if one.run == (series.run or None))
    return next(named, None) or next((one for one in here if not (one.run and series.run)), None)


def _is_about(one: Failing, station: str, step: str, run: str | None) -> bool:
    return (one.station, one.step) == (station, step) and (one.run == run or not (one.run and run))


def failing(progress: Progress, what: SamplesTaken) -> Failing | None:
    """The run that these samples are of, if it has failed while it is on and its end did not come yet."""
    return next((one for one in progress.failing if _is_about(one, what.station.name, what.step, what.run)), None)


def begins(turn: Turn, station: str, step: str) -> None:
    """Forget what was failing without a name: a run begins that has none either."""
    turn.progress.failing = [
        one for one in turn.progress.failing if one.run or (one.station, one.step) != (station, step)
    ]


def ended(turn: Turn, station: str, step: str, run: str | None) -> Reason | None:
    """Forget that a run was failing, for it ended; why it had failed, if it had."""
    others = {one.run for one in turn.progress.open if one.station == station and one.run and one.run != run}
    about = [one for one in turn.progress.failing if _is_about(one, station, step, run) and one.run not in others]
    if not about:
        return None
    turn.progress.failing = [one for one in turn.progress.failing if one not in about]
    channel = about[0].channel
    return reason(CODE, f"{channel} had been beyond its limits for too long during the run.", channel=channel)


def told(stay: Stay, series: Series) -> Reason:
    """What a nonconformance says that a stay opens."""
    limit, value = limit_text(stay.low, stay.high), f"{stay.value or 0.0:g}"
    text = (
        f"{series.channel} was beyond {limit} for {stay.lasted_s:g} s, up to {value}; it may be for less than "
        f"{stay.allowed_s:g} s."
        if stay.allowed_s
        else f"{series.channel} was {value}, beyond {limit}."
    )
    return reason(CODE, text, **_facts(stay, series.channel))


def to_stop(one: Failing, unit: str, stay: Stay | None) -> Reason:
    """What a message of samples of a run that is failing is answered: that the station is to end it.

    `unit` as the station names it; `stay` is that of the channel that broke its limit, if the message adds to it.
    """
    text = f"{one.channel} was beyond its limits for too long." if stay is None else told(stay, _series(one)).text
    facts = {"channel": one.channel} if stay is None else _facts(stay, one.channel)
    if one.run:
        facts["run"] = one.run
    return reason(CODE, f"{text} The run has failed: stop it.", unit=unit, step=one.step, **facts)


def _series(one: Failing) -> Series:
    return Series("", one.station, one.step, one.run or "", one.channel)


def _facts(stay: Stay, channel: str) -> dict[str, Any]:
    since = stay.first.isoformat() if stay.first else None
    told = {"channel": channel, "value": stay.value, "low": stay.low, "high": stay.high, "since": since}
    return {name: value for name, value in told.items() if value is not None}


def limit_text(low: float | None, high: float | None) -> str:
    """Limits for people: `85`, `10 to 85`."""
    return " to ".join(f"{limit:g}" for limit in (low, high) if limit is not None)
