"""An attempt of a step as a test program lives it: asked for, started, values while it runs, reported at its end.

    with station.run("TR-0042", "power-on", operator="m.rossi") as run:
        run.measure("rail_12v", 12.04, "V", low=11.8, high=12.2)
        run.samples({"gpu1.temp": [41.0, 41.5]}, start=began, period_s=5)
        run.wait(60)

Whatever ends the block, the run is reported: with `error` if the program failed, `aborted` if it was interrupted. What
the MES would reject is refused by the call that says it, for at the end the whole run would be rejected with it.
"""

import secrets
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Final, Protocol, Self, get_args

from msgspec import Meta, Struct, json
from msgspec.structs import fields

from mes.formats.messages import (
    Child,
    Defect,
    Program,
    ReportedConnection,
    ReportedMeasurement,
    RunReported,
    RunStop,
    SamplesTaken,
    StepStarted,
    UnitRef,
    sample_times,
)
from stations.asking import ASK_S, NotPermittedError, OnNoAnswer, Permit
from stations.spool import SpoolError
from stations.wording import TooLargeError, check, moment, printable, several

HEAD_MORE_BYTES: Final = 512
"""What a report may have beside its values that it had not when the run began: a longer envelope, names of lists."""
NOT_REPORTABLE: Final = "not_reportable"
"""Code of the defect that says why a run was reported without its values."""


class RunStoppedError(Exception):
    """The MES wants a run to end: a limit that it watches was broken. Ends the `with` block and goes no further."""


class Poster(Protocol):
    """What a run needs of its station."""

    @property
    def message_max_bytes(self) -> int: ...

    def post(self, data: Struct) -> str: ...

    def permit(
        self,
        unit: UnitRef,
        step: str,
        parts: Iterable[Child],
        after: Iterable[str],
        *,
        timeout_s: float,
        on_no_answer: OnNoAnswer,
    ) -> Permit: ...

    def follow(self, run: "Run") -> None: ...

    def unfollow(self, run: "Run") -> None: ...


class Run:
    """One attempt. Entering it asks (unless `ask=False`) and raises `NotPermittedError` if it may not begin. What the
    MES could not read raises ValueError, with the field and the mend, where it is said: names on entering.

    `run` is the station's own name for the attempt, unique at the station; one is made if none is given. `outcome` is
    the station's claim; while it is None it is `fail` if a value is outside its limits, a connection is not where it
    should be, a defect was found or the MES stopped the run, else `pass`.
    """

    def __init__(
        self,
        station: Poster,
        unit: UnitRef,
        step: str,
        *,
        run: str | None = None,
        ask: bool = True,
        parts: Iterable[Child] = (),
        after: Iterable[str] = (),
        on_no_answer: OnNoAnswer = "stop",
        timeout_s: float = ASK_S,
        purpose: Any = "production",
        operator: str | None = None,
        fixture: str | None = None,
        program: Program | None = None,
    ) -> None:
        self.name = run or f"{_now():%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
        self.outcome: Any = None
        self.stopped: RunStop | None = None
        self.permit: Permit | None = None
        self.started_at = _now()
        self._station = station
        self._unit, self._step = unit, step
        self._ask = ask
        self._asked = (several(parts, "parts"), several(after, "after"), timeout_s, on_no_answer)
        self._said: dict[str, Any] = {"purpose": purpose, "operator": operator, "fixture": fixture, "program": program}
        self._measurements: list[ReportedMeasurement] = []
        self._connections: list[ReportedConnection] = []
        self._defects: list[Defect] = []
        self._room_bytes = station.message_max_bytes
        self._stop = threading.Event()

    def __enter__(self) -> Self:
        self._room_bytes -= check(self._report("error")) + HEAD_MORE_BYTES
        if self._ask:
            parts, after, timeout_s, on_no_answer = self._asked
            self.permit = self._station.permit(
                self._unit, self._step, parts, after, timeout_s=timeout_s, on_no_answer=on_no_answer
            )
            if not self.permit.holds:
                raise NotPermittedError(self.permit)
        self.started_at = _now()
        self._station.follow(self)
        self._station.post(StepStarted(self._unit, self._step, self.started_at, self.name, self._said["operator"]))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._station.unfollow(self)
        stopped = isinstance(error, RunStoppedError)
        if error is not None and not stopped:
            self.outcome = "error" if isinstance(error, Exception) else "aborted"
        try:
            self.report()
        except SpoolError:
            raise
        except Exception as problem:
            self._report_without_values(problem)
            if error is None or stopped:
                raise
            error.add_note(f"The run was reported without its values: {problem}")
        return stopped

    def measure(
        self,
        name: str,
        value: Any,
        unit: str | None = None,
        *,
        low: float | None = None,
        high: float | None = None,
        outcome: Any = None,
        position: str | None = None,
    ) -> bool:
        """A value, with the station's own limits if it has any; whether it is within them. The MES judges anew."""
        value, low, high = _plain(value), _limit(name, "low", low), _limit(name, "high", high)
        if outcome is None and (low is not None or high is not None):
            outcome = "pass" if _within(value, low, high) else "fail"
        one = ReportedMeasurement(name, value, unit, low, high, outcome, position)
        self._add("measurements", self._measurements, one, f"measurement {name!r:.80}")
        return bool(outcome != "fail")

    def connect(self, end: str, expected: str, seen: Sequence[str], ohms: float | None = None) -> bool:
        """Where the wire that starts at `end` was seen to end; whether that is where it should."""
        ends = several(seen, f"connection {end!r:.80}: seen")
        one = ReportedConnection(end, expected, ends, _plain(ohms))
        self._add("connections", self._connections, one, f"connection {end!r:.80}")
        return ends == (expected,)

    def find(self, code: str, position: str | None = None, text: str | None = None) -> None:
        """A fault was found."""
        self._add("defects", self._defects, Defect(code, position, text), f"defect {code!r:.80}")

    def samples(
        self,
        channels: Mapping[str, Sequence[float | None]],
        *,
        start: datetime,
        period_s: float | None = None,
        offsets_s: Sequence[float] | None = None,
    ) -> list[str]:
        """Telemetry from `start` on, sent while the run goes on; in several messages where one would be too large."""
        offsets = None if offsets_s is None else tuple(offsets_s)
        if not channels or not all(map(len, channels.values())):
            raise ValueError("channels: give at least one channel, and at least one value of each")
        names, purpose, start = list(channels), self._said["purpose"], moment(start, "start")
        return [
            id
            for first in range(0, len(names), CHANNELS_MAX)
            for id in self._sample(
                SamplesTaken(
                    self._unit,
                    self._step,
                    start,
                    {name: list(channels[name]) for name in names[first : first + CHANNELS_MAX]},
                    self.name,
                    period_s,
                    offsets,
                    purpose,
                )
            )
        ]

    def check(self) -> None:
        """Raises `RunStoppedError` if the MES wants the run to end."""
        if self.stopped:
            raise RunStoppedError(" ".join(one.text for one in self.stopped.reasons) or "the MES wants the run to end")

    def wait(self, seconds: float) -> None:
        """Let time pass while the unit soaks; raises `RunStoppedError` as soon as the MES wants the run to end."""
        self._stop.wait(seconds)
        self.check()

    def stop(self, stop: RunStop) -> None:
        """The MES wants the run to end. Called from another thread."""
        self.stopped = stop
        self._stop.set()

    def report(self) -> str:
        """Say how it ended. The `with` block does it."""
        report = self._report(
            self.outcome or self._claim(),
            measurements=tuple(self._measurements),
            connections=tuple(self._connections),
            defects=tuple(self._defects),
        )
        check(report)
        return self._station.post(report)

    def _report_without_values(self, problem: Exception) -> None:
        """That there was a run must be known, also where what it said can't be."""
        why = f"The program reported what can't be sent, and so the values are missing. {printable(str(problem))}"
        self._station.post(self._report("error", defects=(Defect(NOT_REPORTABLE, text=why[:4000]),)))

    def _report(self, outcome: Any, **values: Any) -> RunReported:
        ended_at = max(_now(), self.started_at)  # a clock may be set back meanwhile
        said = self._said | values
        return RunReported(self._unit, self._step, self.started_at, ended_at, outcome, run=self.name, **said)

    def _add(self, field: str, values: list[Any], one: Struct, what: str) -> None:
        """Take a value into the report if the MES could read it there. Raises ValueError."""
        if len(values) >= _MOST[field]:
            raise ValueError(f"{what}: {field}: a run has at most {_MOST[field]}; give series to run.samples.")
        try:
            check(self._report("error", **{field: (one,)}), f"{field}[0]")
        except ValueError as error:
            raise ValueError(f"{what}: {error}") from error
        size = len(json.encode(one)) + 1
        if size > self._room_bytes:
            raise TooLargeError(
                f"{what}: it has {size} bytes where the run's report has room for {max(0, self._room_bytes)}; "
                "give series to run.samples."
            )
        values.append(one)
        self._room_bytes -= size

    def _claim(self) -> Any:
        failed = (
            self.stopped is not None
            or any(one.outcome == "fail" for one in self._measurements)
            or any(one.seen != (one.end_b,) for one in self._connections)
            or bool(self._defects)
        )
        return "fail" if failed else "pass"

    def _sample(self, taken: SamplesTaken) -> list[str]:
        if len(next(iter(taken.channels.values()))) <= SAMPLES_MAX:
            with suppress(TooLargeError):
                return [self._station.post(taken)]
        return [id for half in _halves(taken) for id in self._sample(half)]


def _most(field: str) -> int:
    """How many values of a field the MES reads in one run."""
    (kind,) = [one.type for one in fields(RunReported) if one.name == field]
    return _max_length(kind)


def _most_samples() -> tuple[int, int]:
    """How many channels, and how many values of each, the MES reads in one message."""
    (kind,) = [one.type for one in fields(SamplesTaken) if one.name == "channels"]
    _, values = get_args(get_args(kind)[0])
    return _max_length(kind), _max_length(values)


def _max_length(kind: Any) -> int:
    return next(int(one.max_length or 0) for one in kind.__metadata__ if isinstance(one, Meta))


CHANNELS_MAX, SAMPLES_MAX = _most_samples()
_MOST: Final = {field: _most(field) for field in ("measurements", "connections", "defects")}


def _plain(value: Any) -> Any:
    """A value as JSON knows it: numbers and arrays of other libraries, such as numpy's, are numbers and lists."""
    if isinstance(value, str | int | float):
        return value
    if isinstance(value, list | tuple):
        return tuple(_plain(one) for one in value)
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    return float(value) if hasattr(value, "__float__") else value


def _limit(name: str, field: str, given: Any) -> Any:
    """A limit as a number. Raises ValueError for a text, which can't be compared with what was measured."""
    limit = _plain(given)
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int | float)):
        raise ValueError(f"measurement {name!r:.80}: {field}: give a number, not {given!r:.80}")
    return limit


def _halves(taken: SamplesTaken) -> list[SamplesTaken]:
    """The first and the second half of the time; raises TooLargeError for a single sample."""
    times = sample_times(taken)
    middle = len(times) // 2
    if not middle:
        raise TooLargeError("One sample of all channels is too large for a message.")
    return [_part(taken, times, slice(0, middle)), _part(taken, times, slice(middle, None))]


def _part(taken: SamplesTaken, times: Sequence[float], part: slice) -> SamplesTaken:
    first = times[part][0]
    return SamplesTaken(
        taken.unit,
        taken.step,
        taken.start + timedelta(seconds=first),
        {name: values[part] for name, values in taken.channels.items()},
        taken.run,
        taken.period_s,
        tuple(one - first for one in times[part]) if taken.offsets_s is not None else None,
        taken.purpose,
    )


def _within(value: Any, low: float | None, high: float | None) -> bool:
    numeric = isinstance(value, int | float) and value == value
    return numeric and (low is None or value >= low) and (high is None or value <= high)


def _now() -> datetime:
    return datetime.now(UTC)
