"""Nothing is acknowledged before it is settled, nothing is lost, every station hears what became of its messages."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from paho.mqtt.enums import MQTTProtocolVersion

from mes.domain.refusals import reason
from mes.embedded.broker import Broker
from mes.formats.messages import Arrived, Message, Unreadable
from mes.mqtt import consumer, topics
from mes.mqtt.bridge import Bridge
from tests.mqtt.floor import NOW, V311, Fact, Record, binary, packed, publish, receipts, send

ROOT = Path(__file__).parents[2]


def bridge_to(broker: Broker, **more: object) -> Bridge:
    return Bridge(broker.url, "mes-ingest-test-0", topics.ingest_subscriptions(), **{"protocols": V311} | more)  # type: ignore[arg-type]


@asynccontextmanager
async def ingesting(broker: Broker, record: Record, **more: object) -> AsyncIterator[Bridge]:
    """A consumer at work, stopped at the end as a service is stopped."""
    async with bridge_to(broker, **more) as bridge:
        await asyncio.wait_for(bridge.connected(), 15)
        work = asyncio.create_task(
            consumer.run(bridge, consumer.here(record, source="mes/test"), batch_max_messages=500)
        )
        try:
            yield bridge
        finally:
            work.cancel()
            with suppress(asyncio.CancelledError):
                await work


@asynccontextmanager
async def station(broker: Broker, name: str = "st-1") -> AsyncIterator[Bridge]:
    """A station that waits for its receipts."""
    async with Bridge(broker.url, f"station-{name}", topics.station_subscriptions(name), protocols=V311) as bridge:
        await bridge.connected()
        yield bridge


async def test_every_message_is_settled_and_gets_its_receipt(each_broker: Broker) -> None:
    record = Record()
    async with ingesting(each_broker, record), station(each_broker) as one, station(each_broker, "st-2") as two:
        await publish(each_broker.url, ["a1", "a2"])
        await publish(each_broker.url, ["b1"], "st-2")
        assert await receipts(one, 2) == {"a1": ("applied", []), "a2": ("applied", [])}
        assert await receipts(two, 1) == {"b1": ("applied", [])}
    assert sorted(record.ids) == ["a1", "a2", "b1"]


async def test_it_is_acknowledged_only_once_settled(mosquitto: Broker) -> None:
    record = Record()
    record.gate.clear()
    async with ingesting(mosquitto, record) as bridge:
        sent = await publish(mosquitto.url, map(str, range(20)))
        await record.begun.wait()
        bridge.drop()  # with the batch in hand not yet settled
        await asyncio.sleep(0.5)
        record.gate.set()
        await record.until(20)
        async with asyncio.timeout(10):
            # So they came again, in order; only the first was in the batch for certain.
            while record.ids.count(sent[0]) < 2 or record.ids[-1] != sent[-1]:
                record.grown.clear()
                await record.grown.wait()
        await asyncio.sleep(0.1)  # the acknowledgement follows the record
        settled = len(record.ids)
        bridge.drop()
        await asyncio.sleep(0.5)
        assert len(record.ids) == settled  # and once acknowledged, never


async def test_what_could_not_be_settled_comes_again(
    mosquitto: Broker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(consumer, "RETRY_MIN_S", 0.05)
    record = Record(failures=3)
    async with ingesting(mosquitto, record), station(mosquitto) as one:
        sent = await publish(mosquitto.url, map(str, range(300)))
        assert list(dict.fromkeys(await record.until(300))) == sent
        assert len(await receipts(one, 300)) == 300
    assert record.failures == 0
    assert "the database is gone" in caplog.text


async def test_a_fault_of_ours_ends_it_even_if_nothing_more_comes(mosquitto: Broker) -> None:
    async def faulty(*_: object) -> None:
        raise ZeroDivisionError

    async with bridge_to(mosquitto) as bridge:
        await asyncio.wait_for(bridge.connected(), 15)
        work = asyncio.create_task(consumer.run(bridge, faulty))
        await publish(mosquitto.url, ["1"])
        with pytest.raises(ExceptionGroup) as ended:
            await asyncio.wait_for(work, 15)
    assert ended.group_contains(ZeroDivisionError)


async def test_a_slow_record_holds_the_broker_back(mosquitto: Broker) -> None:
    record = Record(pause_s=0.05)
    async with ingesting(mosquitto, record, queue_max_messages=300) as bridge:
        sent = await publish(mosquitto.url, map(str, range(5000)))
        assert await record.until(5000) == sent
        assert bridge.queued_peak_messages <= 300
    assert max(map(len, record.batches)) <= 500


async def test_a_killed_process_loses_nothing(mosquitto: Broker, tmp_path: Path) -> None:
    committed = tmp_path / "committed"
    committed.touch()
    sent: list[str] = []
    for number in range(3):
        process = await _start(mosquitto, committed, pause_s=0.3)
        sent += await publish(mosquitto.url, [f"{number}-{one}" for one in range(600)])
        await asyncio.sleep(0.15)
        process.send_signal(signal.SIGKILL)
        await process.wait()
    settled = set(committed.read_text().split())
    assert settled < set(sent), "it was killed too late to show anything"
    process = await _start(mosquitto, committed, pause_s=0)
    async with asyncio.timeout(20):
        while set(committed.read_text().split()) != set(sent):  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.05)
    process.terminate()
    await process.wait()
    again = len(committed.read_text().split()) - len(sent)
    assert 0 < again <= 3 * (consumer.IN_HAND_MAX * 50 + 1)  # what was in hand when it was killed, nothing older


async def _start(broker: Broker, committed: Path, pause_s: float) -> asyncio.subprocess.Process:
    argv = (sys.executable, "-m", "tests.mqtt.killable", broker.url, str(committed), str(pause_s))
    process = await asyncio.create_subprocess_exec(*argv, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 20) == b"up\n"
    return process


async def test_structured_and_binary_mode_on_mqtt_5(mosquitto: Broker) -> None:
    record = Record()
    five = MQTTProtocolVersion.MQTTv5
    async with ingesting(mosquitto, record, protocols=(five,)):
        structured = ("mes/v1/st-1/unit", packed("s1"), None)
        await asyncio.to_thread(send, mosquitto.url, [structured, binary("b1")], five)
        assert await record.until(2) == ["s1", "b1"]
    first, second = (one for batch in record.batches for one in batch)
    assert isinstance(first, Message)
    assert isinstance(second, Message)
    assert first.data == second.data


async def test_what_can_not_be_read_is_rejected_with_its_reason(mosquitto: Broker) -> None:
    record = Record()
    async with ingesting(mosquitto, record), station(mosquitto) as one:
        wrong = json.dumps(json.loads(packed("w1")) | {"data": {"unit": "RK-1"}}).encode()
        batch = b"[" + packed("g1") + b"," + wrong + b"]"
        foreign = packed("f1", "st-2")
        messages = [("mes/v1/st-1/unit", payload, None) for payload in (b"{", batch, foreign, b"x" * (1024 * 1024 + 1))]
        await asyncio.to_thread(send, mosquitto.url, messages)
        found = await receipts(one, 5)
    assert found["g1"] == ("applied", [])
    assert found["w1"] == ("rejected", ["unreadable"])
    assert found["f1"] == ("rejected", ["wrong_source"])
    assert sorted(codes for _, codes in found.values()) == [
        [],
        ["too_large"],
        ["unreadable"],
        ["unreadable"],
        ["wrong_source"],
    ]
    assert all(isinstance(one, Message | Unreadable) for batch in record.batches for one in batch)


async def test_a_topic_that_names_no_station_is_left_out(mosquitto: Broker, caplog: pytest.LogCaptureFixture) -> None:
    record = Record()
    async with ingesting(mosquitto, record) as bridge:
        await asyncio.to_thread(send, mosquitto.url, [("mes/v1/no name/unit", packed("x"), None)])
        await publish(mosquitto.url, ["1"])
        assert await record.until(1) == ["1"]
        await asyncio.sleep(0.1)  # the acknowledgement follows the record
        bridge.drop()
        await asyncio.sleep(0.4)
    assert record.ids == ["1"]
    assert caplog.text.count("names no station") == 1  # it was acknowledged, so it did not come again


async def test_stopping_finishes_the_batch_in_hand(mosquitto: Broker) -> None:
    record = Record()
    record.gate.clear()
    async with bridge_to(mosquitto) as bridge, station(mosquitto) as one:
        await bridge.connected()
        work = asyncio.create_task(consumer.run(bridge, consumer.here(record, source="mes/test")))
        await publish(mosquitto.url, ["1"])
        await record.begun.wait()
        work.cancel()
        await asyncio.sleep(0.05)
        assert not work.done()
        record.gate.set()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert await receipts(one, 1) == {"1": ("applied", [])}
    async with bridge_to(mosquitto) as bridge:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(bridge.get_batch(1), 0.4)


async def test_a_pending_message_gets_a_second_receipt(mosquitto: Broker) -> None:
    async with bridge_to(mosquitto) as bridge, station(mosquitto) as one:
        await bridge.connected()
        consumer.publish(bridge, consumer.written([Fact("st-1", "p1", "id", "pending")], "mes/test", NOW))
        assert await receipts(one, 1) == {"p1": ("pending", [])}
        consumer.publish(bridge, consumer.written([Fact("st-1", "p1", "id", "applied")], "mes/test", NOW))
        assert await receipts(one, 1) == {"p1": ("applied", [])}


async def test_a_stop_that_can_not_be_told_costs_no_receipt(
    mosquitto: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    class Faulty(Record):
        def fate(self, one: Arrived) -> Fact:
            of_no_unit = reason("limit_broken_live", step="burn-in")
            return super().fate(one)._replace(reasons=(of_no_unit,) if one.id == "odd" else ())

    async with ingesting(mosquitto, Faulty()), station(mosquitto) as one:
        await publish(mosquitto.url, ["odd", "other"])
        await publish(mosquitto.url, ["later"])
        assert await receipts(one, 3) == {
            "odd": ("applied", ["limit_broken_live"]),
            "other": ("applied", []),
            "later": ("applied", []),
        }
    assert "not all was told that became of" in caplog.text
