"""The station client against a real broker; the MES is played by the test."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from mes.embedded.broker import Broker
from mes.formats.messages import (
    MessagesWanted,
    PartInstalled,
    ReportedMeasurement,
    RunStop,
    SettledMessage,
    StepAnswered,
    UnitPacked,
    UnitRef,
    WireReason,
    encode_settled,
)
from stations.alarms import Alarm
from stations.client import TooLargeError
from stations.facts import of_loaded, of_lot, serialized
from stations.spool import Spool, SpoolFullError
from tests import parts
from tests.embedded.programs import wait_until
from tests.stations.played_mes import Opener, PlayedMes, cut


def _now() -> datetime:
    return datetime.now(UTC)


def test_every_fact_is_one_call_and_gets_its_receipt(open_station: Opener, mes: PlayedMes) -> None:
    with open_station() as station:
        begun = _now() - timedelta(seconds=5)
        sent = [
            station.start("CB-1", "crimp", run="r1", operator="m.rossi"),
            station.install("CB-1", "J-A", serialized("CON", "C1", maker="Harwell")),
            station.install("CB-1", "W", of_lot("WIRE", "L1", 2.48)),
            station.remove("CB-1", "J-A", serialized("CON", "C1"), reason="bent"),
            station.complete("CB-1", "crimp", run="r1"),
            station.load("WIRE", "L2", quantity=500, place="F1", operator="m.rossi"),
            station.install("CB-1", "W", of_loaded("WIRE", 2.5)),
            station.unload("WIRE", "L2", left=497.5, place="F1"),
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
        "mes.material.loaded",
        "mes.part.installed",
        "mes.material.unloaded",
        "mes.run.reported",
    ]
    assert (heard[sent[6]].data.child.lot, heard[sent[7]].data.quantity) == (None, Decimal("497.5"))
    assert heard[sent[2]].data.child.quantity == Decimal("2.48")
    assert {one.source for one in heard.values()} == {"stations/s1"}


def test_what_has_no_receipt_is_said_again_after_a_lost_connection(open_station: Opener, mes: PlayedMes) -> None:
    mes.fate = lambda message: None
    with open_station() as station:
        id = station.start("CB-1", "crimp")
        wait_until(lambda: mes.ids("step") == [id])
        assert station.await_receipts(timeout_s=0.2) == {}
        mes.fate = lambda message: "applied"
        cut(station)
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
    played.close()


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
        mes.answer = lambda asked: None
        assert station.ask("CB-1", "crimp", timeout_s=0.3) is None
        assert station.unsettled() == []  # an ask is not kept


def test_an_ask_is_asked_again_when_the_connection_comes_back(open_station: Opener, mes: PlayedMes) -> None:
    mes.answer = lambda asked: None
    with open_station() as station, ThreadPoolExecutor(1) as operator:
        assert station.connected()
        asking = operator.submit(station.ask, "CB-1", "crimp", timeout_s=10)
        wait_until(lambda: len(mes.ids("ask")) == 1)
        mes.answer = lambda asked: StepAnswered(asked, True)
        cut(station)
        answer = asking.result(15)
        assert answer is not None
        assert answer.granted
    assert len(set(mes.ids("ask"))) == 1


def test_what_gets_no_receipt_is_said_again_after_a_while(open_station: Opener, mes: PlayedMes) -> None:
    mes.fate = lambda message: None
    with open_station(receipt_s=0.3) as station:
        id = station.start("CB-1", "crimp")
        wait_until(lambda: len(mes.ids("step")) >= 2)
        mes.fate = lambda message: "applied"
        assert station.await_receipts([id])[id].fate == "applied"


def test_several_facts_are_posted_together_or_not_at_all(open_station: Opener, mes: PlayedMes) -> None:
    with open_station(message_max_bytes=1000) as station:
        scans = [PartInstalled(UnitRef("R-1"), f"U{n}", serialized("TRAY", f"T{n}"), _now()) for n in range(5)]
        ids = station.post_all(scans)
        assert list(station.await_receipts(ids)) == ids
        wide = PartInstalled(UnitRef("R-1"), "U9", serialized("TRAY", "T9"), _now(), reason="x" * 2000)
        with pytest.raises(TooLargeError):
            station.post_all([scans[0], wide])
        assert station.waiting == (0, 0)
    assert mes.ids("assembly") == ids


def test_an_id_of_ones_own_is_said_once_whatever_happens_to_the_program(open_station: Opener, mes: PlayedMes) -> None:
    fact = UnitPacked(UnitRef("R-1"), _now())
    for _ in range(2):  # the program crashes after the post, and begins again
        with open_station() as station:
            station.post(fact, id="packing-of-R-1")
            assert station.await_receipts(["packing-of-R-1"])["packing-of-R-1"].fate == "applied"
    assert mes.ids("unit") == ["packing-of-R-1"]


def test_the_next_start_sends_what_the_last_left(open_station: Opener, broker: Broker) -> None:
    with open_station() as station:  # the MES is away, and so nothing comes back
        ids = [station.start("CB-1", "crimp"), station.complete("CB-1", "crimp")]
        station.close(linger_s=0)
    played = PlayedMes(broker.url)
    with open_station() as station:
        assert station.unsettled() == ids
        assert list(station.await_receipts()) == ids
    played.close()


def test_two_programs_speak_as_one_station(open_station: Opener, mes: PlayedMes, tmp_path: Path) -> None:
    with (
        open_station() as station,
        open_station(beside="push", spool=tmp_path / "push.spool") as push,
    ):
        ids = [station.start("CB-1", "crimp"), push.start("CB-2", "crimp")]
        assert station.await_receipts()[ids[0]].fate == push.await_receipts()[ids[1]].fate == "applied"
        assert station.connected(0)  # neither took the other's place
        assert push.connected(0)
    wait_until(lambda: [one.state for one in mes.statuses()] == ["idle", "offline"])


def test_a_spool_that_fills_is_told_once(open_station: Opener, tmp_path: Path) -> None:
    alarms: list[Alarm] = []
    spool = Spool(tmp_path / "small.spool", "s1", max_messages=10)
    station = open_station(spool=spool, on_alarm=alarms.append)
    for _ in range(10):
        station.start("CB-1", "crimp")
    with pytest.raises(SpoolFullError, match="10 messages wait for receipts"):
        station.start("CB-1", "crimp")
    assert [one.code for one in alarms] == ["spool_filling", "spool_full"]
    assert station.waiting[0] == 10
    station.close(linger_s=0)


def rejecting(mes: PlayedMes, *texts: str, by_digest: bool = False) -> None:
    """From now on the MES can't read what is said, and says why; `by_digest`: nor the ids."""

    def hear(_client: Any, _userdata: Any, message: Any) -> None:
        if not message.topic.endswith("/step"):
            return
        id = json.loads(message.payload)["id"]
        named = {"sha256": sha256(message.payload).hexdigest()} if by_digest else {"id": id}
        why = tuple(WireReason("unreadable", text) for text in texts)
        receipts = (SettledMessage("rejected", reasons=why, **named), SettledMessage("rejected", sha256="0" * 64))
        payload = encode_settled("mes/main", f"receipt-{id}", _now(), receipts)
        mes.client.publish("mes/v1/s1/receipts", payload, qos=1)

    mes.client.on_message = hear


def test_a_rejection_is_told_with_its_reasons_until_what_is_said_is_read_again(
    open_station: Opener, mes: PlayedMes
) -> None:
    alarms: list[Alarm] = []
    with open_station(on_alarm=alarms.append) as station:
        understood = mes.client.on_message
        rejecting(mes, "data.unit: it contains a blank.", *(f"reason {number}." for number in range(6)))
        first = station.start("C4 0007", "crimp")
        assert station.await_receipts()[first].fate == "rejected"
        station.await_receipts([station.start("C4 0007", "crimp")])
        assert [one.code for one in alarms] == ["rejected"]  # once
        assert alarms[0].text.startswith(f"The MES rejected {first}: data.unit: it contains a blank. reason 0.")
        assert alarms[0].text.endswith("reason 3. And 2 other reasons.")
        mes.client.on_message = understood
        station.await_receipts([station.start("C4-0007", "crimp")])
        rejecting(mes, "data.step: it is missing.")
        station.await_receipts([station.start("C4-0007", "crimp")])
        assert [one.code for one in alarms] == ["rejected", "rejected"]


def test_what_is_rejected_by_the_digest_of_its_bytes_is_settled(open_station: Opener, mes: PlayedMes) -> None:
    """The MES names a message so whose id it can't read; it would be sent for ever."""
    alarms: list[Alarm] = []
    rejecting(mes, "data: it is nested too deeply.", by_digest=True)
    with open_station(on_alarm=alarms.append, receipt_s=0.2) as station:
        id = station.start("CB-1", "crimp")
        fate = station.await_receipts([id])[id]
        assert (fate.fate, fate.reasons[0].text) == ("rejected", "data: it is nested too deeply.")
        assert station.waiting == (0, 0)
        assert alarms == [Alarm("rejected", f"The MES rejected {id}: data: it is nested too deeply.")]


def test_a_clock_that_is_off_is_told(open_station: Opener, mes: PlayedMes) -> None:
    alarms: list[Alarm] = []
    with open_station(on_alarm=alarms.append) as station:
        station.ask("CB-1", "crimp")
        assert station.clock_ahead_s is not None
        assert abs(station.clock_ahead_s) < 5
    mes.ahead = timedelta(minutes=2)
    with open_station(on_alarm=alarms.append) as station:
        for _ in range(3):
            station.ask("CB-1", "crimp")
        assert -125 < station.clock_ahead_s < -115
    assert [one.code for one in alarms] == ["clock_skew"]


def test_a_callback_can_not_wait_for_its_own_thread(
    open_station: Opener, mes: PlayedMes, caplog: pytest.LogCaptureFixture
) -> None:
    with open_station(on_stop=lambda stop: station.await_receipts()) as station:
        assert station.connected()
        mes.say("s1", "answers", "mes.run.stop", RunStop(UnitRef("CB-1"), "burn-in"))
        wait_until(lambda: "can't wait for the network" in caplog.text)
        assert station.ask("CB-1", "crimp")  # and the thread lives


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
            cut(station)
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


def test_messages_are_json_that_others_can_read(open_station: Opener, mes: PlayedMes) -> None:
    with open_station() as station:
        at = datetime(2026, 11, 22, 10, tzinfo=UTC)
        station.start("CB-1", "crimp", at=at)
        station.await_receipts()
    (event,) = [json.loads(one.body) for kind, one in mes.heard if kind == "step"]
    assert event["specversion"] == "1.0"
    assert event["data"] == {"unit": "CB-1", "step": "crimp", "at": "2026-11-22T10:00:00Z"}
