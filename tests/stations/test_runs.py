"""An attempt as a test program lives it."""

import os
import threading
import time
from array import array
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from mes.formats.messages import Program, ReportedMeasurement, RunStop, StepAnswered, UnitRef, WireReason
from stations.asking import NotPermittedError, Permit
from stations.client import Station, TooLargeError
from stations.facts import serialized
from stations.runs import Run, RunStoppedError
from tests.embedded.programs import wait_until
from tests.stations.played_mes import Opener, PlayedMes

BEGAN = datetime(2026, 11, 22, 10, tzinfo=UTC)


@pytest.fixture
def mqtt() -> str:
    """What a run says is the same in every version of MQTT."""
    return "3.1.1"


def reported(mes: PlayedMes) -> Any:
    """The one run that the MES heard of."""
    wait_until(lambda: any(kind == "run" for kind, _ in mes.heard))
    (data,) = [one.data for kind, one in mes.heard if kind == "run"]
    return data


def test_a_run_is_asked_for_started_followed_and_reported(open_station: Opener, mes: PlayedMes) -> None:
    with open_station() as station:
        program = Program("power-on", "2.1")
        with station.run(
            "TR-1", "power-on", parts=[serialized("GPU", "G1")], operator="m.rossi", program=program
        ) as run:
            assert run.measure("rail_12v", 12.04, "V", low=11.8, high=12.2)
            run.samples({"gpu.temp": [41.0, None, 41.5]}, start=BEGAN, period_s=5)
            assert run.connect("A1", "B1", ["B1"], ohms=0.1)
        station.await_receipts()
    assert [kind for kind, _ in mes.heard if kind != "status"] == ["ask", "step", "samples", "run"]
    started, samples, report = (one.data for kind, one in mes.heard if kind in ("step", "samples", "run"))
    assert started.run == samples.run == report.run == run.name
    assert (started.operator, report.operator, report.program) == ("m.rossi", "m.rossi", program)
    assert started.at == report.started_at <= report.ended_at
    assert report.outcome == "pass"
    assert report.measurements[0].outcome == "pass"


def test_the_claim_follows_from_what_was_seen(open_station: Opener, mes: PlayedMes) -> None:
    def measured_outside(run: Any) -> None:
        assert not run.measure("v", 13.0, "V", high=12.2)

    def not_a_number(run: Any) -> None:
        assert not run.measure("v", float("nan"), "V", low=0)

    def swapped(run: Any) -> None:
        assert not run.connect("A1", "B1", ["B2"])

    def defect(run: Any) -> None:
        run.find("scratch", "U1", "deep")

    def said(run: Any) -> None:
        run.outcome = "skipped"

    def unlimited(run: Any) -> None:
        assert run.measure("note", "green")

    tried = [measured_outside, not_a_number, swapped, defect, said, unlimited]
    with open_station() as station:
        for act in tried:
            with station.run("TR-1", "t", ask=False) as run:
                act(run)
        station.await_receipts()
    outcomes = [one.data.outcome for kind, one in mes.heard if kind == "run"]
    assert outcomes == ["fail", "fail", "fail", "fail", "skipped", "pass"]


@pytest.mark.parametrize(("raised", "outcome"), [(ZeroDivisionError, "error"), (KeyboardInterrupt, "aborted")])
def test_a_run_that_breaks_off_is_reported_too(
    open_station: Opener, mes: PlayedMes, raised: type[BaseException], outcome: str
) -> None:
    with open_station() as station:
        with pytest.raises(raised):
            _break_off(station, raised)
        station.await_receipts()
    assert (reported(mes).outcome, len(reported(mes).measurements)) == (outcome, 1)


def _break_off(station: Station, raised: type[BaseException]) -> None:
    with station.run("TR-1", "t") as run:
        run.measure("v", 1.0)
        raise raised


def test_the_mes_ends_a_run(open_station: Opener, mes: PlayedMes) -> None:
    heard: list[RunStop] = []
    why = WireReason("limit_broken", "gpu.temp was above 90 Cel for 30 s.")

    def overheat(name: str) -> None:
        mes.say("s1", "answers", "mes.run.stop", RunStop(UnitRef("TR-1"), "burn-in", name, (why,)))

    with open_station(on_stop=heard.append) as station:
        began = time.monotonic()
        with station.run("TR-1", "burn-in") as run:
            overheat("another")
            run.check()
            threading.Timer(0.2, overheat, [run.name]).start()
            run.wait(60)
            pytest.fail("the run went on")
        assert time.monotonic() - began < 10
        assert run.stopped
        wait_until(lambda: len(heard) == 2)
        assert [one.run for one in heard] == ["another", run.name]
        with pytest.raises(RunStoppedError, match="above 90"):
            run.check()
        station.await_receipts()
    assert reported(mes).outcome == "fail"


def test_a_refused_run_does_not_begin(open_station: Opener, mes: PlayedMes) -> None:
    reasons = (WireReason("on_hold", "TR-1 is on hold: wet."), WireReason("wrong_step", "Its next step is leak."))
    mes.answer = lambda asked: StepAnswered(asked, False, reasons=reasons)
    with open_station() as station:
        with pytest.raises(NotPermittedError, match=r"on hold: wet\. Its next step"):
            _begin(station, on_no_answer="go_on", timeout_s=20)  # which is about no answer, not about a refusal
        assert station.waiting == (0, 0)
        assert station._runs == {}


@pytest.mark.parametrize("what", ["stop", "go_on"])
def test_no_answer_means_what_the_step_says(open_station: Opener, mes: PlayedMes, what: str) -> None:
    mes.answer = lambda asked: None
    with open_station() as station:
        if what == "go_on":
            run = _begin(station, on_no_answer=what)
            assert run.permit == Permit(True, None, float("inf"))
        else:
            with pytest.raises(NotPermittedError, match="no answer"):
                _begin(station, on_no_answer=what)
        station.await_receipts()
    assert len(mes.ids("run")) == (what == "go_on")


def _begin(station: Station, **how: Any) -> Any:
    with station.run("TR-1", "t", **{"timeout_s": 0.3, **how}) as run:
        return run


def test_a_grant_ends() -> None:
    now = time.monotonic()
    granted = StepAnswered("a", True, "g1", valid_s=300)
    assert Permit.of(granted, now - 299, "stop").holds
    over = Permit.of(granted, now - 301, "stop")
    assert (over.go, over.holds, over.why) == (True, False, "The MES granted it, and the grant has ended.")
    assert Permit.of(StepAnswered("a", True), now - 10**6, "stop").holds


def test_samples_that_are_too_many_for_one_message_are_several(open_station: Opener, mes: PlayedMes) -> None:
    values = [float(number) for number in range(1000)]
    with open_station(message_max_bytes=4000) as station:
        with station.run("TR-1", "burn-in", ask=False) as run:
            even = run.samples({"a": values, "b": values}, start=BEGAN, period_s=5)
            odd = run.samples({"c": values}, start=BEGAN, offsets_s=[number * 2.5 for number in range(1000)])
        station.await_receipts()
    heard = {one.id: one.data for kind, one in mes.heard if kind == "samples"}
    assert set(heard) == {*even, *odd}
    assert len(even) > 2
    for name, ids, period_s in (("a", even, 5), ("b", even, 5), ("c", odd, 2.5)):
        taken = [heard[id] for id in ids]
        assert [value for one in taken for value in one.channels[name]] == values
        firsts = [one.channels[name][0] for one in taken]
        assert [one.start for one in taken] == [BEGAN + timedelta(seconds=period_s * first) for first in firsts]


class Reading:
    """A number of another library, as `numpy.float32` is one: no float, and can be made one."""

    def __float__(self) -> float:
        return 5.5


REFUSED: dict[str, tuple[Callable[[Run], object], str]] = {
    "a thing": (
        lambda run: run.measure("v", object()),
        "measurement 'v': value: object can't be written as JSON; give",
    ),
    "things": (lambda run: run.measure("v", [1, 2j]), r"measurement 'v': value\[1\]: complex can't be written"),
    "a large integer": (lambda run: run.measure("v", 2**70), "measurement 'v': value: a whole number must fit 64 bits"),
    "a long list": (lambda run: run.measure("v", [0.0] * 100_001), "value: expected `array` of length <= 100000"),
    "a heavy list": (
        lambda run: run.measure("v", [1 / 3] * 90_000),
        "bytes where the run's report has room for .* run.s",
    ),
    "half a pair": (lambda run: run.measure("v", os.fsdecode(b"caf\xe9")), "value: a text can't hold half a surrogate"),
    "NUL": (lambda run: run.measure("v", "a\0b"), r"value: a text can't hold NUL"),
    "a long name": (lambda run: run.measure("v" * 300, 1.0), "name: expected `str` of length <= 255"),
    "an outcome": (lambda run: run.measure("v", 1.0, outcome="ok"), "outcome: it must be one of pass, fail"),
    "a position": (lambda run: run.measure("v", 1.0, position="U 1"), "position: it contains a blank"),
    "a long code": (lambda run: run.find("E" * 100), "defect 'EEE.*: code: expected `str` of length <= 64"),
    "a long end": (
        lambda run: run.connect("A1", "B" * 300, []),
        "connection 'A1': to: expected `str` of length <= 255",
    ),
    "many ends": (lambda run: run.connect("A1", "B1", ["B1"] * 1001), "seen: expected `array` of length <= 1000"),
}


@pytest.mark.parametrize(("say", "told"), REFUSED.values(), ids=REFUSED)
def test_what_the_mes_would_reject_is_refused_where_it_is_said(
    open_station: Opener, mes: PlayedMes, say: Callable[[Run], object], told: str
) -> None:
    with open_station() as station:
        with station.run("TR-1", "t", ask=False) as run:
            run.measure("before", 1.0)
            with pytest.raises(ValueError, match=told):
                say(run)
            run.measure("after", 2.0)
        station.await_receipts()
    report = reported(mes)
    assert [one.name for one in report.measurements] == ["before", "after"]
    assert (report.outcome, report.connections, report.defects) == ("pass", (), ())


def test_a_run_has_no_more_values_than_the_mes_reads(open_station: Opener, mes: PlayedMes) -> None:
    with open_station() as station:
        with station.run("TR-1", "t", ask=False) as run:
            for number in range(10_000):
                run.measure(f"m{number}", 1.0)
            with pytest.raises(ValueError, match="measurements: a run has at most 10000"):
                run.measure("one more", 1.0)
        station.await_receipts()
    assert len(reported(mes).measurements) == 10_000


def test_values_that_fill_a_message_are_reported(open_station: Opener, mes: PlayedMes) -> None:
    """However many calls refuse theirs, what was taken fits."""
    with open_station(message_max_bytes=4000) as station:
        with station.run("TR-1", "t", ask=False, operator="m.rossi") as run:
            taken = [number for number in range(200) if _takes(run, number)]
        station.await_receipts()
    assert 20 < len(taken) < 200
    assert [one.name for one in reported(mes).measurements] == [f"m{number}" for number in taken if number % 2 == 0]


def _takes(run: Run, number: int) -> bool:
    try:
        if number % 2:
            run.connect(f"A{number}", f"B{number}", [f"B{number}"])
        else:
            run.measure(f"m{number}", float(number), "V", low=0)
    except TooLargeError:
        return False
    return True


def test_numbers_of_other_libraries_are_numbers(open_station: Opener, mes: PlayedMes) -> None:
    with open_station() as station:
        with station.run("TR-1", "t", ask=False) as run:
            assert run.measure("one", Reading(), "V", low=5, high=Decimal("5.6"))
            assert not run.measure("out", Decimal("5.7"), "V", high=Decimal("5.6"))
            run.measure("many", [Reading(), 1])
            run.measure("array", array("d", [1.5, 2.5]))
            run.connect("A1", "B1", ["B1"], ohms=Reading())  # type: ignore[arg-type]
        station.await_receipts()
    report = reported(mes)
    assert [one.value for one in report.measurements] == [5.5, 5.7, (5.5, 1), (1.5, 2.5)]
    assert (report.measurements[0].high, report.connections[0].ohms) == (5.6, 5.5)


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_run_whose_report_can_not_be_written_is_reported_without_values(
    open_station: Opener, mes: PlayedMes, interrupted: bool
) -> None:
    with open_station() as station:
        with pytest.raises(KeyboardInterrupt if interrupted else ValueError) as raised:
            _say_what_no_check_foresaw(station, interrupted)
        station.await_receipts()
    report = reported(mes)
    assert (report.outcome, report.measurements) == ("error", ())
    (defect,) = report.defects
    assert defect.code == "not_reportable"
    assert "measurements[1].value: a text can't hold half" in defect.text
    if interrupted:
        assert "reported without its values" in raised.value.__notes__[0]


def _say_what_no_check_foresaw(station: Station, interrupted: bool) -> None:
    with station.run("TR-1", "t") as run:
        run.measure("v", 1.0)
        run._measurements.append(ReportedMeasurement("w", "half a \ud800"))
        if interrupted:
            raise KeyboardInterrupt


def test_a_claim_that_is_none_is_told_and_the_run_is_an_error(open_station: Opener, mes: PlayedMes) -> None:
    with open_station() as station:
        with (
            pytest.raises(ValueError, match="outcome: it must be one of pass, fail, error, aborted, skipped"),
            station.run("TR-1", "t") as run,
        ):
            run.outcome = "passed"
        station.await_receipts()
    assert reported(mes).outcome == "error"


@pytest.mark.parametrize(
    ("unit", "how", "told"),
    [
        ("C4 0007", {}, "unit: it contains a blank"),
        ("TR-1", {"operator": "x" * 65}, "operator: expected `str` of length <= 64"),
        ("TR-1", {"run": os.fsdecode(b"\xe9")}, "run: a text can't hold half a surrogate pair"),
        ("TR-1", {"purpose": "fun"}, "purpose: it must be one of production, golden"),
    ],
)
def test_a_run_with_names_that_can_not_be_read_does_not_begin(
    open_station: Opener, mes: PlayedMes, unit: str, how: dict[str, Any], told: str
) -> None:
    with open_station() as station:
        with pytest.raises(ValueError, match=told), station.run(unit, "t", **how):
            pytest.fail("it began")
        assert station.waiting == (0, 0)
    assert mes.ids("ask") == []
