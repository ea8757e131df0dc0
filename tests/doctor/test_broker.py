"""The doctor on real brokers: one that drops, ours that does not, and the fallback."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from mes.doctor import trial
from mes.doctor.broker import CHECKS, KEPT_MESSAGES, Patient, Verdict, examine_broker, patient, reach
from mes.doctor.findings import Finding, healthy
from mes.doctor.trial import Refused, connected
from mes.embedded.broker import Broker as EmbeddedBroker
from mes.embedded.broker import find_mosquitto
from mes.mqtt.address import Broker, parse_url
from tests import parts
from tests.deploy.floor_broker import floor_broker, passwords, started

LARGEST = 300_000


def examined(broker: Broker) -> dict[str, Finding]:
    tried = patient(broker, LARGEST)
    return {one.check: one for one in (reach(tried), *examine_broker(tried))}


def kept_by(tmp_path: Path, changes: dict[str, str]) -> Finding:
    """What is found of the messages that the shipped broker keeps when lines of it are others."""
    with floor_broker(tmp_path, passwords(), changes) as floor:
        tried = patient(floor.mes(), LARGEST)
        level, text, advice = CHECKS["keeps messages"](tried)
    return Finding("broker", "keeps messages", level, text, advice)


def test_debians_defaults_drop_and_delay(tmp_path: Path) -> None:
    """As the package is installed: persistent, and with the broker's own limits."""
    program = find_mosquitto()
    if program is None:
        pytest.skip("mosquitto is not installed")
    port = parts.any_port()
    lines = [f"listener {port} 127.0.0.1", "allow_anonymous true", "persistence true"]
    lines += [f"persistence_location {tmp_path}/", *(["user root"] if os.geteuid() == 0 else [])]
    file = tmp_path / "debian.conf"
    file.write_text("\n".join(lines) + "\n")
    with started(program, file, port):
        found = examined(parse_url(f"mqtt://127.0.0.1:{port}"))
    assert not healthy(found.values())
    assert found["keeps messages"].level == "error"
    assert "max_queued_messages 0" in found["keeps messages"].advice
    assert found["answers at once"].level == "warning"
    assert "set_tcp_nodelay" in found["answers at once"].advice


def test_what_we_ship_is_fine(tmp_path: Path) -> None:
    with floor_broker(tmp_path, passwords()) as floor:
        found = examined(floor.mes())
        assert found.keys() == {"reachable", *CHECKS}
        assert {name: one.level for name, one in found.items() if one.level != "fine"} == {
            "keeps them for long": "not proven"
        }
        # Nothing of it stays: no session that keeps messages, nothing retained.
        with connected(floor.mes(), "afterwards") as after:
            after.subscribe("mes/v1/#")
            assert after.wait_for_count(1, 1.0) == 0


def test_a_limit_below_ours_is_found(tmp_path: Path) -> None:
    small = {r"(?m)^message_size_limit \d+$": f"message_size_limit {LARGEST - 1}"}
    with floor_broker(tmp_path, passwords(), small) as floor:
        found = examined(floor.mes())
    assert found["largest message"].level == "error"
    assert found["keeps messages"].level == "fine"


def test_amqtt_is_enough_for_a_first_day(tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path, parts.any_port(), exact=False, mosquitto=False)
    parts.run(broker.start())
    try:
        found = examined(parse_url(broker.url))
    finally:
        parts.run(broker.stop())
    assert [one for one in found.values() if one.level == "error"] == []
    assert str(KEPT_MESSAGES) in found["keeps messages"].text


def test_a_wrong_password_and_a_dead_broker_are_one_finding_each(tmp_path: Path) -> None:
    with floor_broker(tmp_path, passwords()) as floor:
        found = reach(patient(floor.mes("wrong"), LARGEST))
    assert (found.level, "user and password" in found.advice) == ("error", True)
    gone = Broker("127.0.0.1", parts.any_port(), None, None, tls=False)
    found = reach(patient(gone, LARGEST))
    assert (found.check, found.level, "Is it running" in found.advice) == ("reachable", "error", True)
    with pytest.raises(Refused), connected(gone, "x"):
        pass


@pytest.mark.parametrize(
    "line", ["max_queued_messages 0\nmax_queued_bytes 1000000", "max_queued_messages 2000\nmax_queued_bytes 0"]
)
def test_a_bound_above_the_default_is_found(tmp_path: Path, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "QUIET_S", 1.0)  # what was dropped does not come, however long one waits
    messages, size = line.splitlines()
    changes = {r"(?m)^max_queued_messages 0$": messages, r"(?m)^max_queued_bytes 0$": size}
    found = kept_by(tmp_path, changes)
    assert found.level == "error"
    assert "max_queued_bytes 0" in found.advice


def test_what_can_not_be_tried_is_said() -> None:
    """A restart and an expiration: of our own broker it is known, of another it is not proven."""
    here = Broker("127.0.0.1", 1, None, None, tls=False)
    for kind, expected in ((None, "not proven"), ("mosquitto", "fine"), ("amqtt", "warning")):
        level, _, advice = CHECKS["keeps them for long"](patient(here, LARGEST, embedded=kind))
        assert level == expected
        assert all(word in advice for word in ("persistence true", "persistent_client_expiration")) == (kind is None)


def test_the_stations_door_and_a_stations_user_are_told(tmp_path: Path) -> None:
    with floor_broker(tmp_path, passwords(ct_01="one")) as floor:
        at_wrong_door = floor.mes()._replace(port=floor.station_port)
        door = reach(patient(at_wrong_door, LARGEST))
        user = reach(patient(floor.station("ct-01", "one")._replace(port=floor.mes_port), LARGEST))
    assert (door.level, "a door for stations" in door.text, "1883" in door.advice) == ("error", True, True)
    assert (user.level, "ct-01 may not" in user.text) == ("error", True)
    assert "the MES's own user" in user.advice


def test_a_certificate_that_is_not_trusted_is_no_question_of_passwords(tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    key, certificate = tmp_path / "server.key", tmp_path / "server.crt"
    made = f"{openssl} req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    subprocess.run([*made.split(), "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    doors = {r"(?m)^# listener 8883$": f"listener {(port := parts.any_port())} 127.0.0.1"}
    for name, file in (("certfile", certificate), ("keyfile", key)):
        doors[rf"(?m)^# {name} .*$"] = f"{name} {file}"
    with floor_broker(tmp_path, passwords(), doors) as floor:
        found = [
            reach(patient(floor.mes()._replace(port=at, tls=tls), LARGEST))
            for at, tls in ((port, True), (floor.mes_port, True), (port, False))
        ]
    assert [one.level for one in found] == ["error"] * 3
    assert "SSL_CERT_FILE" in found[0].advice
    assert "mqtt://" in found[1].advice
    assert "mqtts://" in found[2].advice
    assert not any("password" in one.advice for one in found)


def test_a_check_that_fails_itself_is_a_finding_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_tried: Patient) -> Verdict:
        raise KeyError("first line\nsecond line")

    for name in CHECKS:
        monkeypatch.setitem(CHECKS, name, broken)
    found = list(examine_broker(patient(Broker("127.0.0.1", 1, None, None, tls=False), LARGEST)))
    assert [one.check for one in found] == list(CHECKS)
    assert {one.level for one in found} == {"error"}
    assert "first line" in found[0].text
