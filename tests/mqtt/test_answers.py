"""Asks over a real broker, decided on a real floor, answered by the process that a line waits for."""

import asyncio
import hashlib
import json
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from mes.commands import holds
from mes.commands.act import Act
from mes.commands.asking import Answer
from mes.commands.ingest import settle
from mes.embedded.broker import Broker
from mes.formats.messages import Message, StepAsked, UnitRef, decode, encode_event
from mes.mqtt import answers, topics
from mes.mqtt.answers import Answering, answer_topic
from mes.mqtt.bridge import Bridge
from tests.mqtt.floor import send
from tests.mqtt.line import codes, entries
from tests.parts import needs_mosquitto
from tests.stage import START, Stage
from tests.stored_floor import assert_folded_from_journal


def now_s() -> float:
    """This moment, in seconds after the start of the stage's day."""
    return (datetime.now(UTC) - START).total_seconds()


async def test_a_granted_step_starts_without_deviation(stage: Stage, asker: Any) -> None:
    await stage.release("T1")
    station = await asker("as-1")
    answer = await station.ask("a1", "T1", "build", parts=[{"part": "GPU-1", "serial": "G1"}])
    assert (answer["granted"], answer["valid_s"], codes(answer)) == (True, 300, [])
    start = stage.message("started", "as-1", now_s(), unit="T1", step="build")
    (settled,) = await settle(stage.database, [start], datetime.now(UTC))
    assert (settled.fate, [one.code for one in settled.reasons]) == ("applied", [])
    assert await entries(stage) == 1
    await assert_folded_from_journal(stage.database)


async def test_a_refusal_gives_every_reason_at_once(stage: Stage, asker: Any) -> None:
    await stage.release("T1")
    answer = await (await asker("as-1")).ask("a1", "T1", "test")
    assert not answer["granted"]
    assert "grant" not in answer
    assert codes(answer) == ["wrong_station_kind", "predecessor_open", "as_built_incomplete"]
    assert answer["reasons"][1]["facts"] == {"step": "test", "steps": ["build"]}
    assert "must pass before" in answer["reasons"][1]["text"]
    assert await entries(stage) == 1


async def test_what_is_not_known_is_said_and_not_recorded(stage: Stage, asker: Any) -> None:
    await stage.release("T1")
    station, stranger = await asker("as-1"), await asker("xx-9")
    assert codes(await station.ask("a1", "NO-SUCH", "build")) == ["unknown_unit"]
    assert codes(await stranger.ask("a2", "T1", "build")) == ["unknown_station"]
    assert codes(await stranger.ask("a3", "NO-SUCH", "build")) == ["unknown_unit", "unknown_station"]
    assert codes(await stranger.ask("a4", "T1", "test")) == [
        "unknown_station",
        "predecessor_open",
        "as_built_incomplete",
    ]
    assert await entries(stage) == 0


async def test_parts_are_looked_at_before_they_are_installed(stage: Stage, asker: Any) -> None:
    await stage.release("T1")
    await stage.release("P1", number="WO-2", part="TRAY-2")
    await stage.release("M1", number="WO-3", part="GPU-M")
    await stage.send(stage.build("T1", 0, "G1", "G2"))
    parts = [
        {"part": "GPU-M", "serial": "M1"},
        {"part": "GPU-M", "serial": "M9"},
        {"part": "GPU-1", "serial": "G1"},
    ]
    station = await asker("as-1")
    answer = await station.ask("a1", "P1", "build", parts=parts)
    found = [(one["code"], one["facts"]["serial"]) for one in answer["reasons"]]
    assert found == [("failed_part", "M1"), ("unknown_unit", "M9"), ("wrong_part", "G1"), ("already_installed", "G1")]
    async with stage.database.transaction() as connection:
        await holds.place(connection, "part", "GPU-M", "bad lot", Act("main", "q.eng", datetime.now(UTC)))
    answer = await station.ask("a2", "P1", "build", parts=parts[:1])
    assert codes(answer) == ["failed_part", "on_hold"]
    assert codes(await station.ask("a3", "T1", "build", parts=parts[2:])) == ["already_passed"]


async def test_the_answer_waits_for_what_it_must_include(stage: Stage, asker: Any) -> None:
    await stage.release("T1")
    station = await asker("ft-1")
    answer, before = {"granted": False}, stage.build("T1", 0, "G1", "G2")
    for number in range(3):  # a slow machine may not settle it in the time that an answer waits
        own = stage.run("T1", "test", 100 + number, id=f"r{number}", outcome="error")
        await station.say(station.event(f"a{number}", "T1", "test", after=[f"r{number}"]))
        await asyncio.sleep(0.4)
        await stage.send([*before, own])
        before, answer = [], await station.hear(f"a{number}")
        if answer["granted"]:
            break
        assert "facts_pending" in codes(answer)
    assert answer["granted"]


async def test_what_never_comes_is_not_waited_for_for_ever(stage: Stage, asker: Any) -> None:
    await stage.release("T1")
    began = time.monotonic()
    answer = await (await asker("as-1")).ask("a1", "T1", "build", after=["lost"])
    assert time.monotonic() - began >= 2
    assert [(one["code"], one["facts"]) for one in answer["reasons"]] == [("facts_pending", {"messages": ["lost"]})]


async def test_who_waits_for_what_never_comes_holds_up_nobody_else(stage: Stage, asker: Any) -> None:
    await stage.release("T1")
    waiting, other = await asker("as-1"), await asker("ft-1")
    for number in range(60):
        await waiting.say(waiting.event(f"w{number}", "T1", "build", after=["lost"]))
    began = time.monotonic()
    assert codes(await other.ask("a1", "T1", "test")) == ["predecessor_open", "as_built_incomplete"]
    assert time.monotonic() - began < 10  # one after the other they would take two minutes
    assert codes(await waiting.hear("w59")) == ["facts_pending"]


async def test_a_hold_refuses_until_it_is_released(stage: Stage, asker: Any) -> None:
    await stage.release("T1")
    station = await asker("as-1")
    assert (await station.ask("a1", "T1", "build"))["granted"]
    async with stage.database.transaction() as connection:
        held = await holds.place(connection, "unit", "T1", "dropped", Act("main", "q.eng", datetime.now(UTC)))
    answer = await station.ask("a2", "T1", "build")
    assert codes(answer) == ["on_hold"]
    assert answer["reasons"][0]["facts"]["holds"][0]["reason"] == "dropped"
    start = stage.message("started", "as-1", now_s(), unit="T1", step="build")
    (settled,) = await settle(stage.database, [start], datetime.now(UTC))
    assert {one.code for one in settled.reasons} == {"on_hold", "not_asked"}  # the refusal took the grant back
    async with stage.database.transaction() as connection:
        await holds.release(connection, held, Act("main", "q.eng", datetime.now(UTC)))
    assert (await station.ask("a3", "T1", "build"))["granted"]


async def test_an_ask_said_twice_is_decided_once(stage: Stage, asker: Any) -> None:
    await stage.release("T1")
    station = await asker("as-1")
    payload = station.event("a1", "T1", "build")
    await station.say(payload)
    first = await station.hear("a1")
    async with stage.database.transaction() as connection:
        await holds.place(connection, "unit", "T1", "dropped", Act("main", "q.eng", datetime.now(UTC)))
    await station.say(payload)
    again = await station.hear("a1")
    assert again == {**first, "valid_s": again["valid_s"]}
    assert 200 < again["valid_s"] < first["valid_s"]  # what is left of it
    assert await entries(stage) == 1
    assert codes(await station.ask("a1", "T1", "test")) == ["conflicting_report"]


async def test_an_ask_that_cannot_be_read_is_told_so(stage: Stage, asker: Any) -> None:
    station = await asker("as-1")
    answer = await station.ask("a1", "N/A", "build")
    assert (answer["granted"], codes(answer)) == (False, ["placeholder_serial"])
    await station.say(b"{")
    assert codes(await station.ask("a2", "T9", "build")) == ["unknown_unit"]
    (refused,) = station.receipts  # whoever said it knows it by its bytes alone
    assert (refused["fate"], refused["sha256"]) == ("rejected", hashlib.sha256(b"{").hexdigest())
    assert "it is not JSON" in refused["reasons"][0]["text"]


async def test_an_ask_that_meets_a_fault_of_ours_keeps_no_other_from_its_answer(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(*given: Any, **more: Any) -> Any:
        if b"poison" in given[2]:
            raise IndexError
        return decode(*given, **more)

    async def refused(asked: Message) -> Any:
        return Answer(asked.station, asked.id, False, None, None, ())

    monkeypatch.setattr(answers, "decode", faulty)
    async with Bridge(broker.url, "answers", topics.ask_subscriptions()) as bridge:
        await bridge.connected()
        answering = Answering(bridge, refused, lambda _: False, source="mes/test")
        work = asyncio.create_task(answering.run())
        async with Bridge(broker.url, "station", topics.station_subscriptions("as-1")) as station:
            await station.connected()
            asked = StepAsked(UnitRef("T1"), "build")
            asks = [
                ("mes/v1/as-1/ask", encode_event("mes.step.asked", "stations/as-1", id, START, asked), None)
                for id in ("poison", "a1")
            ]
            await asyncio.to_thread(send, broker.url, asks)
            async with asyncio.timeout(15):
                (heard,) = await station.get_batch(1)
        assert json.loads(heard.payload)["data"]["asked"] == "a1"
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work


async def test_mqtt_5_says_where_the_answer_goes(stage: Stage, asker: Any, broker: Broker) -> None:
    needs_mosquitto(broker)
    await stage.release("T1")
    station = await asker("as-1")
    properties = Properties(PacketTypes.PUBLISH)
    properties.ResponseTopic = "tooling/as-1/replies"
    properties.CorrelationData = b"\x01\x02"
    ask = [("mes/v1/as-1/ask", station.event("a1", "T1", "build"), properties)]
    async with Bridge(broker.url, "listener", ["tooling/as-1/replies"]) as listener:
        await listener.connected()
        await asyncio.to_thread(send, broker.url, ask, MQTTProtocolVersion.MQTTv5)
        (one,) = await asyncio.wait_for(listener.get_batch(1), 10)
    assert one.correlation == b"\x01\x02"
    assert json.loads(one.payload)["data"]["asked"] == "a1"


@pytest.mark.parametrize(
    ("wanted", "topic"),
    [
        (None, "mes/v1/s1/answers"),
        ("mes/v1/s1/answers", "mes/v1/s1/answers"),
        ("tooling/s1", "tooling/s1"),
        ("mes/v1/s2/run", "mes/v1/s1/answers"),
        ("mes/v1/+/answers", "mes/v1/s1/answers"),
        ("$SYS/x", "mes/v1/s1/answers"),
    ],
)
def test_nobody_answers_into_another_stations_topic(wanted: str | None, topic: str) -> None:
    assert answer_topic("s1", wanted) == topic
