"""A run fails while it is on: the moment a watched channel has been beyond its limits for too long.

The step fails and a nonconformance is opened at once, without waiting for the station's report; how the station ends
the run, by then, changes nothing of it. What the fold remembers of a run's telemetry is `Progress.beyond`, each
channel's latest stay beyond its limits, and `Progress.broken`, the channel that failed the run.
"""

from mes.domain.facts import SamplesTaken
from mes.domain.refusals import Reason, reason
from mes.domain.turn import Turn
from mes.domain.watch import Excursion, Stay, joined

CODE = "limit_broken_live"


def sampled(turn: Turn, what: SamplesTaken) -> None:
    """Fail the run if these samples show a channel beyond its limits for too long."""
    run = _run(what.station.name, what.step, what.run)
    if what.run and f"{what.station.name}/{what.run}" in turn.progress.ended_runs:
        return
    for one in what.excursions or ():
        stay = _stay(turn, run, one)
        if stay.lasted_s >= one.allowed_s:
            turn.deviations.append(_told(what, one, stay))
            _break(turn, run, what.step, one.channel)


def _stay(turn: Turn, run: str, one: Excursion) -> Stay:
    name = f"{run}/{one.channel}"
    before = turn.progress.beyond.get(name)
    stay = joined(Stay.from_plain(before) if before else None, one)
    turn.progress.beyond[name] = stay.to_plain()
    return stay


def _break(turn: Turn, run: str, step: str, channel: str) -> None:
    if run in turn.progress.broken:
        return
    turn.progress.broken[run] = channel
    if step in turn.route.steps and not turn.progress.is_closed:
        turn.fail(step)
        turn.settle()


def _told(what: SamplesTaken, one: Excursion, stay: Stay) -> Reason:
    limit = _limit(one)
    text = (
        f"{one.channel} was beyond {limit} for {stay.lasted_s:g} s, up to {one.value:g}; it may be for less than "
        f"{one.allowed_s:g} s. The run has failed: stop it."
        if one.allowed_s
        else f"{one.channel} was {one.value:g}, beyond {limit}. The run has failed: stop it."
    )
    told = {"channel": one.channel, "value": one.value, "low": one.low, "high": one.high, "since": one.first}
    return reason(CODE, text, step=what.step, run=what.run, **{k: v for k, v in told.items() if v is not None})


def shown(what: SamplesTaken) -> tuple[Reason, ...]:
    """What a nonconformance says that these samples open."""
    return tuple(
        reason(CODE, f"{one.channel} reached {one.value:g}, beyond {_limit(one)}, for too long.", channel=one.channel)
        for one in what.excursions or ()
    )


def _limit(one: Excursion) -> str:
    return " to ".join(f"{limit:g}" for limit in (one.low, one.high) if limit is not None)


def ended(turn: Turn, station: str, step: str, run: str | None) -> Reason | None:
    """Forget a run's telemetry, for it ended or another begins; why it had failed, if it had."""
    name = _run(station, step, run)
    for channel in [one for one in turn.progress.beyond if one.startswith(f"{name}/")]:
        del turn.progress.beyond[channel]
    if name not in turn.progress.broken:
        return None
    channel = turn.progress.broken.pop(name)
    return reason(CODE, f"{channel} had been beyond its limits for too long during the run.", channel=channel)


def _run(station: str, step: str, run: str | None) -> str:
    return f"{station}/{step}/{run or ''}"
