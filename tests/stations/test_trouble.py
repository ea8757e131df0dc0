"""What people are told when nothing comes through: no broker, two of one name, a clock that was never set."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import stations.client
import stations.facts
import stations.link
import stations.runs
import stations.wording
from mes.embedded.broker import Broker
from stations.alarms import Alarm
from stations.clock import in_words
from tests import parts
from tests.embedded.programs import wait_until
from tests.stations.played_mes import Opener, PlayedMes, cut


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """People are told after a second without a connection."""
    monkeypatch.setattr(stations.link, "UNREACHABLE_S", 1.0)


@pytest.fixture
def stranger() -> Iterator[int]:
    """The port of a server that speaks another protocol."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_answer_as_http, args=(server,), daemon=True).start()
        yield server.getsockname()[1]


def _answer_as_http(server: socket.socket) -> None:
    with suppress(OSError):
        while True:
            caller, _ = server.accept()
            with caller:
                caller.recv(4096)
                caller.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def alarms_of(open_station: Opener, url: str, **how: Any) -> list[Alarm]:
    """What a station tells until it told something."""
    alarms: list[Alarm] = []
    station = open_station(on_alarm=alarms.append, **how)
    station._broker = stations.client.parse_url(url)
    with station:
        wait_until(lambda: bool(alarms))
        station.close(linger_s=0)
    return alarms


def test_a_broker_that_is_not_there_is_told(open_station: Opener, soon: None) -> None:
    port = parts.any_port()
    (alarm,) = alarms_of(open_station, f"mqtt://127.0.0.1:{port}")
    assert alarm.code == "unreachable"
    assert alarm.text.startswith("There has been no connection to the broker for ")
    assert alarm.text.endswith(f" s: 127.0.0.1:{port} can't be reached: Connection refused.")


def test_a_name_that_is_not_known_is_told(open_station: Opener, soon: None) -> None:
    (alarm,) = alarms_of(open_station, "mqtt://nosuchhost.invalid")
    assert alarm.code == "unreachable"
    assert "nosuchhost.invalid:1883 can't be reached: its name is not known" in alarm.text


@pytest.mark.parametrize(
    ("scheme", "told"),
    [("mqtt", "before it let us in"), ("mqtts", "does not speak TLS as we do")],
)
def test_what_is_no_broker_is_told(open_station: Opener, soon: None, stranger: int, scheme: str, told: str) -> None:
    (alarm,) = alarms_of(open_station, f"{scheme}://127.0.0.1:{stranger}")
    assert alarm.code == "unreachable"
    assert told in alarm.text
    assert alarm.text.endswith(f"{scheme}:// right?")


def test_it_is_over_when_there_is_a_connection(
    open_station: Opener, broker: Broker, soon: None, caplog: pytest.LogCaptureFixture
) -> None:
    alarms: list[Alarm] = []
    with open_station(on_alarm=alarms.append) as station:
        for times in (1, 2):
            assert station.connected(20)
            parts.run(broker.stop())
            wait_until(lambda times=times: [one.code for one in alarms] == ["unreachable"] * times)
            parts.run(broker.start())
    assert [one.levelname for one in caplog.records if "no connection to the broker" in one.message] == ["WARNING"] * 2


def test_two_of_one_name_are_told(open_station: Opener, mes: PlayedMes, tmp_path: Path) -> None:
    told: list[list[Alarm]] = [[], []]
    with ExitStack() as open_ones:
        for number, alarms in enumerate(told):
            open_ones.enter_context(open_station(on_alarm=alarms.append, spool=tmp_path / f"{number}.spool"))
        wait_until(lambda: all(told), within_s=60)
    for (alarm,) in told:
        assert alarm.code == "unsteady"
        assert "is another program connected as station s1?" in alarm.text


def test_a_connection_that_stays_ends_the_doubt(
    open_station: Opener, mes: PlayedMes, soon: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stations.link, "ENDS_MAX", 2)
    alarms: list[Alarm] = []
    with open_station(on_alarm=alarms.append) as station:
        for times in (1, 2):
            for _ in range(2):
                assert station.connected()
                cut(station)
                wait_until(lambda: not station.connected(0))
            wait_until(lambda times=times: [one.code for one in alarms].count("unsteady") == times)
            assert station.connected()
            wait_until(lambda: not station._link._reach._ends)


class _Unset(datetime):
    """The clock of a computer whose battery is flat: it began in 1970 when it was switched on."""

    @classmethod
    def now(cls, tz: Any = None) -> datetime:
        return datetime.now(tz) - (datetime(2026, 12, 1, tzinfo=UTC) - datetime(1970, 1, 2, tzinfo=UTC))


def test_a_station_in_1970_is_heard_and_told_of_its_clock(
    open_station: Opener, mes: PlayedMes, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules: list[ModuleType] = [stations.client, stations.runs, stations.wording]
    for module in modules:
        monkeypatch.setattr(module, "datetime", _Unset)
    alarms: list[Alarm] = []
    left = open_station()
    kept = left.start("CB-1", "crimp")
    left.close(linger_s=0)
    with open_station(on_alarm=alarms.append) as station:
        assert station.connected()
        with station.run("TR-1", "power-on") as run:  # which asks
            run.measure("rail", 12.0, "V", low=11, high=13)
        station.complete("CB-1", "crimp")
        fates = station.await_receipts()
        assert station.fate(kept)
        assert {one.fate for one in fates.values()} == {"applied"}
        assert station.waiting == (0, 0)
        assert all(one.data.started_at.year in (1970, 1971) for kind, one in mes.heard if kind == "run")
        wait_until(lambda: bool(alarms))
    assert alarms == [Alarm("clock_skew", "This computer's clock is 56.9 years behind the MES's; set it.")]


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (7.04, "7.0 s"),
        (119, "119.0 s"),
        (120, "2.0 min"),
        (5400, "90.0 min"),
        (-18000, "5.0 h"),
        (5 * 86_400, "5.0 days"),
        (1_795_000_000, "56.9 years"),
    ],
)
def test_times_in_words(seconds: float, told: str) -> None:
    assert in_words(abs(timedelta(seconds=seconds)).total_seconds()) == told
