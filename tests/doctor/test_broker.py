"""The doctor on real brokers: one that drops, ours that does not, and the fallback."""

import os
from pathlib import Path

import pytest

from mes.doctor.broker import CHECKS, KEPT_MESSAGES, examine_broker, patient
from mes.doctor.findings import Finding, healthy
from mes.doctor.trial import Refused, connected
from mes.embedded.broker import Broker as EmbeddedBroker
from mes.embedded.broker import find_mosquitto
from mes.mqtt.address import Broker, parse_url
from tests import parts
from tests.deploy.floor_broker import floor_broker, passwords, started

LARGEST = 300_000


def examined(broker: Broker) -> dict[str, Finding]:
    return {one.check: one for one in examine_broker(patient(broker, LARGEST))}


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
        assert [one for one in found.values() if one.level == "error"] == []
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
        assert [one.level for one in examine_broker(patient(floor.mes("wrong"), LARGEST))] == ["error"]
    gone = Broker("127.0.0.1", parts.any_port(), None, None, tls=False)
    found = list(examine_broker(patient(gone, LARGEST)))
    assert [(one.check, one.level) for one in found] == [("reachable", "error")]
    with pytest.raises(Refused), connected(gone, "x"):
        pass
