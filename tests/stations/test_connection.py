"""What brokers demand: passwords, TLS, and the limits that MQTT 5 lets them state."""

import asyncio
import os
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mes.embedded.broker import find_mosquitto
from stations.alarms import Alarm
from stations.client import Station
from stations.connection import parse_url
from stations.facts import serialized
from tests import parts
from tests.embedded.programs import wait_until
from tests.mqtt.secure import SecureBroker, secure
from tests.stations.played_mes import PlayedMes

__all__ = ["secure"]

Start = Callable[..., str]


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[Start]:
    """Starts a Mosquitto with these lines in its configuration and gives its address."""
    program = find_mosquitto()
    if program is None:
        pytest.skip("mosquitto is not installed")
    started: list[subprocess.Popen[bytes]] = []

    def start(*lines: str) -> str:
        port = parts.any_port()
        file = tmp_path / "narrow.conf"
        file.write_text("\n".join([f"listener {port} 127.0.0.1", "allow_anonymous true", *_as_us(), *lines]) + "\n")
        started.append(subprocess.Popen([program, "-c", str(file)], stderr=subprocess.DEVNULL))
        wait_until(lambda: _listens(port))
        return f"mqtt://127.0.0.1:{port}"

    yield start
    for process in started:
        process.terminate()
        process.wait()


def _as_us() -> list[str]:
    return ["user root"] if os.geteuid() == 0 else []


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_broker_that_takes_few_at_a_time_gets_few_at_a_time(narrow: Start, tmp_path: Path) -> None:
    """A client that does not keep the receive maximum is thrown out, again and again."""
    url = narrow("max_inflight_messages 3")
    mes = PlayedMes(url)
    with Station(url, "s1", spool=tmp_path / "s1.spool", mqtt="5") as station:
        ids = [station.start("CB-1", "crimp") for _ in range(200)]
        assert len(station.await_receipts(ids)) == 200
    assert len(mes.ids("step")) == 200
    mes.close()


def test_what_the_broker_does_not_take_is_kept_and_told_and_holds_nothing_up(narrow: Start, tmp_path: Path) -> None:
    url = narrow("max_packet_size 4000")
    mes = PlayedMes(url)
    alarms: list[Alarm] = []
    with Station(url, "s1", spool=tmp_path / "s1.spool", mqtt="5", on_alarm=alarms.append) as station:
        huge = station.remove("R-1", "U1", serialized("TRAY", "T-1"), reason="z" * 3900)
        small = station.install("R-1", "U1", serialized("TRAY", "T-1"))
        assert len(station.await_receipts([small])) == 1
        assert station.unsettled() == [huge]
        assert station.connected(0)
        assert [one.code for one in alarms] == ["too_large"]
        station.close(linger_s=0)
    mes.close()


def test_a_password_is_not_sent_in_clear_where_certificates_are_given(tmp_path: Path) -> None:
    context = ssl.create_default_context()
    with pytest.raises(ValueError, match="mqtt:// does not encrypt: write mqtts://") as raised:
        Station("mqtt://ct-01:secret@broker:1883", "s1", spool=tmp_path / "s1.spool", ssl_context=context)
    assert "secret" not in str(raised.value)


async def test_tls_and_a_password(secure: SecureBroker, tmp_path: Path) -> None:
    def work() -> list[str]:
        alarms: list[Alarm] = []
        how = {"spool": tmp_path / "s1.spool", "on_alarm": alarms.append}
        with Station(secure.url, "s1", ssl_context=secure.context, **how) as station:
            assert station.connected()
            station.start("CB-1", "crimp")
            station.close(linger_s=0)
        bare = f"mqtts://{secure.url.rpartition('@')[2]}"
        with Station(bare, "s1", ssl_context=secure.context, user="mes", password="p@ss/word", **how) as station:
            assert station.connected()
            station.close(linger_s=0)
        with Station(secure.url, "s1", **how) as station:  # nobody vouches for its certificate
            wait_until(lambda: alarms)
            assert not station.connected(0)
            station.close(linger_s=0)
        assert [one.text for one in alarms] == [
            "The broker refuses us: its certificate is not to be trusted: self-signed certificate."
        ]
        with Station(bare, "s1", ssl_context=secure.context, user="mes", password="wrong", **how) as station:
            wait_until(lambda: len(alarms) == 2)
            assert not station.connected(0)
            station.close(linger_s=0)
        return [one.text for one in alarms[1:]]

    (told,) = await asyncio.to_thread(work)
    assert "Not authorized" in told


@pytest.mark.parametrize(
    ("rule", "told"),
    [("topic read mes/v1/#", "refused"), ("topic readwrite mes/v1/#\ntopic deny mes/v1/s1/receipts", "no_receipts")],
)
def test_a_broker_that_does_not_let_us_speak_or_hear_is_told(
    narrow: Start, tmp_path: Path, rule: str, told: str
) -> None:
    access = tmp_path / "access"
    access.write_text(f"{rule}\n")
    url = narrow(f"acl_file {access}")
    alarms: list[Alarm] = []
    with Station(url, "s1", spool=tmp_path / "s1.spool", mqtt="5", on_alarm=alarms.append, receipt_s=0.2) as station:
        id = station.start("CB-1", "crimp")
        wait_until(lambda: bool(alarms))
        assert station.unsettled() == [id]
        station.close(linger_s=0)
    assert [one.code for one in alarms] == [told]


def test_addresses() -> None:
    assert parse_url("mqtt://broker") == ("broker", 1883, None, None, False)
    assert parse_url("mqtts://u:p%40@broker:1") == ("broker", 1, "u", "p@", True)
    assert parse_url("mqtts://u:p@broker", "s1", "x") == ("broker", 8883, "s1", "x", True)
    for wrong in ("broker:1883", "http://broker", "mqtt://"):
        with pytest.raises(ValueError, match="mqtt"):
            parse_url(wrong)
