"""The station client against a real broker; the MES is played by the test."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from mes.embedded.broker import Broker
from mes.formats.messages import (
    Message,
    MessagesWanted,
    ReportedMeasurement,
    SettledMessage,
    StepAnswered,
    decode,
    encode_event,
    encode_settled,
)
from mes.mqtt.address import parse_url
from stations.client import Station, TooLargeError
from stations.facts import of_lot, serialized
from tests import parts
from tests.embedded.programs import wait_until

Opener: TypeAlias = Callable[..., Station]


class PlayedMes:
    """Hears what stations say and answers as a test wants."""

    def __init__(self, url: str) -> None:
        self.heard: list[tuple[str, Message]] = []
        self.retained: list[bool] = []
        self.answers = True
        self.subscribed = threading.Event()
        self.fate: Callable[[Message], str | None] = lambda message: "applied"
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id="played-mes", clean_session=False)
        self.client.on_connect = lambda client, *_: client.subscribe("mes/v1/+/#", qos=1)
        self.client.on_subscribe = lambda *_: self.subscribed.set()
        self.client.on_message = self.hear
        address = parse_url(url)
        self.client.connect(address.host, address.port)
        self.client.loop_start()
        assert self.subscribed.wait(10)

    def hear(self, _client: Any, _userdata: Any, message: paho.MQTTMessage) -> None:
        _, _, station, kind = message.topic.split("/", 3)
        if kind in ("answers", "receipts", "wanted"):
            return
        for one in decode(station, kind, bytes(message.payload)):
            assert isinstance(one, Message), one
            self.heard.append((kind, one))
            if kind == "ask" and not self.answers:
                continue
            if kind == "ask":
                self.say(station, "answers", "mes.step.answered", StepAnswered(one.id, True, "g1", 300.0))
            elif fate := self.fate(one):
                self.settle(station, one.id, fate)

    def settle(self, station: str, id: str, fate: Any) -> None:
        payload = encode_settled("mes/main", f"receipt-{time.monotonic_ns()}", _now(), (SettledMessage(fate, id=id),))
        self.client.publish(f"mes/v1/{station}/receipts", payload, qos=1)

    def say(self, station: str, kind: str, type_: str, data: Any) -> None:
        payload = encode_event(type_, "mes/main", f"said-{time.monotonic_ns()}", _now(), data)
        self.client.publish(f"mes/v1/{station}/{kind}", payload, qos=1)

    def ids(self, kind: str) -> list[str]:
        return [one.id for heard, one in self.heard if heard == kind]

    def statuses(self) -> list[Any]:
        return [one.data for heard, one in self.heard if heard == "status"]


def _now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def open_station(broker: Broker, tmp_path: Path) -> Callable[..., Station]:
    """Opens a station of a name, with its spool in the test's folder."""

    def opened(name: str = "s1", **how: Any) -> Station:
        return Station(broker.url, name, spool=how.pop("spool", tmp_path / f"{name}.spool"), **how)

    return opened


@pytest.fixture
def mes(broker: Broker) -> Iterator[PlayedMes]:
    played = PlayedMes(broker.url)
    yield played
    played.client.disconnect()
    played.client.loop_stop()


def test_every_fact_is_one_call_and_gets_its_receipt(open_station: Opener, mes: PlayedMes) -> None:
    with open_station() as station:
        begun = _now() - timedelta(seconds=5)
        sent = [
            station.start("CB-1", "crimp", run="r1", operator="m.rossi"),
            station.install("CB-1", "J-A", serialized("CON", "C1", maker="Harwell")),
            station.install("CB-1", "W", of_lot("WIRE", "L1", 2.48)),
            station.remove("CB-1", "J-A", serialized("CON", "C1"), reason="bent"),
            station.complete("CB-1", "crimp", run="r1"),
            station.report("CB-1", "t", begun, _now(), "pass", measurements=[ReportedMeasurement("h", 2.1, "mm")]),
        ]
        fates = station.await_receipts()
        assert station.unsettled() == []
    assert {id: one.fate for id, one in fates.items()} == dict.fromkeys(sent, "applied")
    heard: dict[str, Any] = {one.id: one for _, one in mes.heard}
    assert [heard[id].type for id in sent] == [
        "mes.step.started",
        "mes.part.installed",
        "mes.part.installed",
        "mes.part.removed",
        "mes.step.completed",
        "mes.run.reported",
    ]
    assert heard[sent[2]].data.child.quantity == Decimal("2.48")
    assert {one.source for one in heard.values()} == {"stations/s1"}


def test_what_has_no_receipt_is_said_again_after_a_lost_connection(open_station: Opener, mes: PlayedMes) -> None:
    mes.fate = lambda message: None
    with open_station() as station:
        id = station.start("CB-1", "crimp")
        wait_until(lambda: mes.ids("step") == [id])
        assert station.await_receipts(timeout_s=0.2) == {}
        mes.fate = lambda message: "applied"
        _cut(station)
        assert station.await_receipts([id], timeout_s=15)[id].fate == "applied"
        wait_until(lambda: len(mes.ids("step")) == 2)
    assert set(mes.ids("step")) == {id}


def test_what_is_said_while_the_broker_is_away_comes_when_it_is_back(broker: Broker, open_station: Opener) -> None:
    played = PlayedMes(broker.url)
    with open_station() as station:
        assert station.connected()
        parts.run(broker.stop())
        wait_until(lambda: not station.connected(0))
        id = station.start("CB-1", "crimp")
        assert station.ask("CB-1", "crimp", timeout_s=0.2) is None
        parts.run(broker.start())
        assert station.await_receipts([id], timeout_s=20)[id].fate == "applied"
    played.client.disconnect()
    played.client.loop_stop()


def test_a_pending_fact_is_kept_until_it_is_settled(open_station: Opener, mes: PlayedMes) -> None:
    mes.fate = lambda message: "pending"
    with open_station() as station:
        id = station.start("CB-1", "crimp")
        assert station.await_receipts()[id].fate == "pending"
        assert station.unsettled() == [id]
        mes.settle("s1", id, "applied")
        wait_until(lambda: station.unsettled() == [])
        fate = station.fate(id)
        assert fate is not None
        assert fate.fate == "applied"


def test_an_ask_is_answered_or_not(open_station: Opener, mes: PlayedMes) -> None:
    with open_station() as station:
        answer = station.ask("CB-1", "crimp", parts=[serialized("CON", "C1")], after=["m1"])
        assert answer is not None
        assert (answer.granted, answer.grant) == (True, "g1")
        asked = next(one.data for kind, one in mes.heard if kind == "ask")
        assert (asked.step, asked.parts[0].serial, asked.after) == ("crimp", "C1", ("m1",))
        mes.answers = False
        assert station.ask("CB-1", "crimp", timeout_s=0.3) is None
        assert station.unsettled() == []  # an ask is not kept


def test_too_large_is_refused_before_it_is_sent(open_station: Opener, mes: PlayedMes) -> None:
    with open_station(message_max_bytes=1000) as station:
        values = [ReportedMeasurement(f"m{number}", 1.0, "V") for number in range(100)]
        with pytest.raises(TooLargeError, match="1000 are allowed"):
            station.report("CB-1", "t", _now(), _now(), "pass", measurements=values)
        assert station.unsettled() == []


def test_a_broken_connection_is_told_by_the_broker_each_time_anew(open_station: Opener, mes: PlayedMes) -> None:
    with open_station() as station:
        for times in (1, 2):
            assert station.connected()
            wait_until(lambda times=times: [one.will for one in mes.statuses()].count(False) == times)
            _cut(station)
            wait_until(lambda times=times: [one.will for one in mes.statuses()].count(True) == times)
    wills = [one for kind, one in mes.heard if kind == "status" and one.data.will]
    assert len({one.id for one in wills}) == 2
    wait_until(lambda: mes.statuses()[-1].state == "offline")


def test_a_station_that_leaves_says_so_itself(open_station: Opener, mes: PlayedMes) -> None:
    with open_station() as station:
        station.connected()
        station.status("running")
    wait_until(lambda: [one.state for one in mes.statuses()] == ["idle", "running", "offline"])
    assert not any(one.will for one in mes.statuses())


def test_what_was_settled_is_said_again_when_wanted(open_station: Opener, mes: PlayedMes) -> None:
    with open_station() as station:
        id = station.start("CB-1", "crimp")
        station.await_receipts()
        mes.say("s1", "wanted", "mes.messages.wanted", MessagesWanted(_now() - timedelta(minutes=1)))
        wait_until(lambda: mes.ids("step") == [id, id])


def _cut(station: Station) -> None:
    """The network breaks: no goodbye is said."""
    connection = station._link._connection
    assert connection is not None
    sock = connection._client.socket()
    assert sock is not None
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def test_messages_are_json_that_others_can_read(open_station: Opener, mes: PlayedMes) -> None:
    with open_station() as station:
        at = datetime(2026, 11, 22, 10, tzinfo=UTC)
        station.start("CB-1", "crimp", at=at)
        station.await_receipts()
    (event,) = [json.loads(one.body) for kind, one in mes.heard if kind == "step"]
    assert event["specversion"] == "1.0"
    assert event["data"] == {"unit": "CB-1", "step": "crimp", "at": "2026-11-22T10:00:00Z"}
