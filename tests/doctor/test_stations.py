"""Whether one station can speak as another: proved on what we ship, and each hole in it found."""

import re
from pathlib import Path

import pytest

from mes.doctor import trial
from mes.doctor.broker import patient
from mes.doctor.findings import Finding
from mes.doctor.stations import HEARS, SAYS, examine_stations
from mes.mqtt import topics
from mes.mqtt.address import parse_url
from tests.deploy.floor_broker import DEPLOY, FloorBroker, floor_broker, passwords

ACL = (DEPLOY / "mosquitto" / "acl").read_text()


def examined(floor: FloorBroker, secret: str = "two") -> dict[str, Finding]:
    logins = [floor.station("ct-01", "one"), floor.station("ct-02", secret)]
    return {one.check: one for one in examine_stations(patient(floor.mes(), 1000), logins)}


def accounts() -> str:
    return passwords(ct_01="one", ct_02="two")


def test_what_we_ship_keeps_stations_apart(tmp_path: Path) -> None:
    with floor_broker(tmp_path, accounts()) as floor:
        found = examined(floor)
    assert {one.level for one in found.values()} == {"fine"}
    assert len(found) == 1 + 2 * 4


@pytest.mark.parametrize("kind", ["run", "run/ocptv", "ask", "receipts"])
def test_a_topic_that_is_open_to_all_is_named(tmp_path: Path, kind: str) -> None:
    with floor_broker(tmp_path, accounts(), acl=f"{ACL}\npattern write mes/v1/+/{kind}\n") as floor:
        found = examined(floor)["ct-01 speaks as itself only"]
    assert found.level == "error"
    assert found.text == f"ct-01 can speak as ct-02 on {kind}."


def test_a_station_that_hears_others_is_named(tmp_path: Path) -> None:
    with floor_broker(tmp_path, accounts(), acl=f"{ACL}\npattern read mes/v1/#\n") as floor:
        found = examined(floor)["ct-02 hears what is for itself only"]
    assert found.level == "error"
    assert "mes/v1/ct-01/answers" in found.text


@pytest.mark.parametrize("kind", ["run", "ask"])
def test_a_station_that_hears_what_others_say_is_named(tmp_path: Path, kind: str) -> None:
    with floor_broker(tmp_path, accounts(), acl=f"{ACL}\npattern read mes/v1/+/{kind}\n") as floor:
        found = examined(floor)["ct-01 hears what is for itself only"]
    assert (found.level, found.text) == ("error", f"ct-01 hears mes/v1/ct-02/{kind}.")


def test_a_group_of_ingest_that_can_be_guessed_is_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mosquitto's access list does not keep a station from a shared subscription; that its name is a secret does."""
    monkeypatch.setattr(topics, "ingest_share", lambda site, _password: f"mes-{site}")
    monkeypatch.setattr(trial, "QUIET_S", 1.0)  # what was dropped does not come, however long one waits
    with floor_broker(tmp_path, accounts()) as floor:
        found = list(examine_stations(patient(floor.mes(), 1000), [floor.station("ct-01", "one")]))[-1]
    assert found.check == "ct-01 takes no share of the facts"
    assert found.level == "error"
    assert "10 of 20 messages did not reach the MES" in found.text


def test_a_station_that_is_shut_out_is_no_proof(tmp_path: Path) -> None:
    """Silence proves nothing unless its own word comes through."""
    closed = "\n".join(line for line in ACL.splitlines() if not re.search(r"write .*/run$", line))
    with floor_broker(tmp_path, accounts(), acl=closed) as floor:
        found = list(examine_stations(patient(floor.mes(), 1000), [floor.station("ct-01", "one")]))[1]
    assert found.check == "ct-01 speaks as itself only"
    assert found.level == "error"
    assert "does not reach the MES" in found.text


def test_a_station_that_can_take_our_session_is_found(tmp_path: Path) -> None:
    with floor_broker(tmp_path, accounts(), {r"(?m)^use_username_as_clientid true$": ""}) as floor:
        found = examined(floor)["ct-01 takes no one's session"]
    assert found.level == "error"
    assert "use_username_as_clientid" in found.advice


def test_a_wrong_secret_is_told(tmp_path: Path) -> None:
    with floor_broker(tmp_path, accounts()) as floor:
        found = examined(floor, "wrong")
    assert found["ct-02 comes in"].level == "error"
    assert found["ct-01 speaks as itself only"].level == "fine"


def test_an_open_broker_is_a_warning_here_and_nothing_is_proven_without_passwords(broker_url: str) -> None:
    found = list(examine_stations(patient(parse_url(broker_url), 1000), []))
    assert [(one.check, one.level) for one in found] == [("password", "warning"), ("kept apart", "not proven")]


def test_every_topic_of_a_station_is_tried() -> None:
    from mes.mqtt.topics import KINDS

    assert {*SAYS, *HEARS} == KINDS
