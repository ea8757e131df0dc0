"""What a station program gets wrong is refused where it says it, with the field and the mend."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from stations.client import Station
from stations.facts import of_loaded, of_lot, serialized
from stations.runs import Run
from tests.stations.played_mes import Opener, PlayedMes

BEGAN = datetime(2026, 11, 22, 10, tzinfo=UTC)
CHILD = serialized("CON", "C1")


@pytest.fixture
def mqtt() -> str:
    """What is refused here never comes to a broker."""
    return "3.1.1"


SAID: dict[str, tuple[Callable[[Any], object], type[Exception], str]] = {
    "no fact": (lambda s: s.post({"a": 1}), TypeError, "data: dict is no fact; give one of mes.formats.messages"),
    "no type": (lambda s: s.forward("mes.x", {}), ValueError, "type: 'mes.x' is none of mes.step.started"),
    "a state": (lambda s: s.status("busy"), ValueError, "state: it must be one of idle, running, down, offline"),
    "a text for a time": (
        lambda s: s.install("R-1", "U1", CHILD, at="2026-12-01T00:00:00Z"),
        TypeError,
        "at: give a datetime, not '2026-12-01T00:00:00Z'",
    ),
    "a time without a zone": (lambda s: s.pack("R-1", at=datetime(2026, 12, 1)), ValueError, "at: a time needs a zone"),
    "a message's time": (
        lambda s: s.forward("mes.cable.report", {"step": "t", "text": "x"}, at="now"),
        TypeError,
        "at: give a datetime",
    ),
    "a run's begin": (
        lambda s: s.report("R-1", "t", "now", BEGAN, "pass"),
        TypeError,
        "started_at: give a datetime, not 'now'",
    ),
    "a quantity": (lambda s: of_lot("P", "L", "two"), ValueError, "quantity: 'two' is no number"),
    "another": (lambda s: of_loaded("P", None), ValueError, "name a serial or a lot"),
    "after": (
        lambda s: s.ask("R-1", "t", after="abc"),
        TypeError,
        r"after: give a list, as \['abc'\], not a bare text",
    ),
    "after a run": (lambda s: s.run("R-1", "t", after="abc"), TypeError, r"after: give a list, as \['abc'\]"),
    "parts": (lambda s: s.permit("R-1", "t", parts="C1"), TypeError, r"parts: give a list"),
}


@pytest.mark.parametrize(("say", "kind", "told"), SAID.values(), ids=SAID)
def test_what_is_no_fact_is_refused(
    open_station: Opener, say: Callable[[Station], object], kind: type[Exception], told: str
) -> None:
    station = open_station()
    with pytest.raises(kind, match=told):
        say(station)
    assert station.waiting == (0, 0)
    station.close(linger_s=0)


IN_A_RUN: dict[str, tuple[Callable[[Run], object], type[Exception], str]] = {
    "a text of ends": (
        lambda run: run.connect("A1", "B1", "B1"),
        TypeError,
        r"connection 'A1': seen: give a list, as \['B1'\], not a bare text",
    ),
    "a text as a limit": (
        lambda run: run.measure("v33", 3.3, "V", low="3.2"),  # type: ignore[arg-type]
        ValueError,
        "measurement 'v33': low: give a number, not '3.2'",
    ),
    "a truth value as a limit": (lambda run: run.measure("v", 3.3, high=True), ValueError, "high: give a number"),
    "no channel": (lambda run: run.samples({}, start=BEGAN, period_s=1), ValueError, "channels: give at least one"),
    "no value": (lambda run: run.samples({"t": []}, start=BEGAN, period_s=1), ValueError, "at least one value of each"),
    "a begin": (
        lambda run: run.samples({"t": [1.0]}, start="now", period_s=1),  # type: ignore[arg-type]
        TypeError,
        "start: give a datetime",
    ),
}


@pytest.mark.parametrize(("say", "kind", "told"), IN_A_RUN.values(), ids=IN_A_RUN)
def test_what_is_no_value_is_refused(
    open_station: Opener, say: Callable[[Run], object], kind: type[Exception], told: str
) -> None:
    station = open_station()
    with station.run("TR-1", "t", ask=False) as run, pytest.raises(kind, match=told):
        say(run)
    station.close(linger_s=0)


def test_a_version_of_mqtt_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"mqtt: '6' is none of 3\.1\.1, 5"):
        Station("mqtt://127.0.0.1", "s1", spool=tmp_path / "s1.spool", mqtt="6")  # type: ignore[arg-type]


def test_more_values_and_channels_than_a_message_may_have_are_several_messages(
    open_station: Opener, mes: PlayedMes
) -> None:
    long, wide = [float(number % 7) for number in range(300_000)], [f"ch{number}" for number in range(10_001)]
    with open_station() as station:
        with station.run("TR-1", "burn-in", ask=False) as run:
            of_long = run.samples({"t": long}, start=BEGAN, period_s=0.01)
            odd = run.samples({"o": long[:100_001]}, start=BEGAN, offsets_s=[n * 0.5 for n in range(100_001)])
            of_wide = run.samples({name: [1.0, 2.0] for name in wide}, start=BEGAN, period_s=1)
        station.await_receipts(timeout_s=30)
    heard = {
        one.id: one.data for kind, one in mes.heard if kind == "samples"
    }  # what can't be read fails the played MES
    assert set(heard) == {*of_long, *odd, *of_wide}
    taken = [heard[id] for id in of_long]
    assert [value for one in taken for value in one.channels["t"]] == long
    assert max(len(one.channels["t"]) for one in taken) <= 100_000
    assert taken[1].start == BEGAN + timedelta(seconds=0.01 * len(taken[0].channels["t"]))
    assert [heard[id].start for id in odd] == [BEGAN, BEGAN + timedelta(seconds=0.5 * 50_000)]
    assert [len(heard[id].channels) for id in of_wide] == [10_000, 1]
    assert [name for id in of_wide for name in heard[id].channels] == wide
