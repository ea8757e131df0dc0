"""The bridge hands over every message in order, as often as it takes until it is acknowledged.

amqtt forgets a delivery that was not acknowledged; what depends on the broker's memory is tested on Mosquitto only.
"""

import asyncio
import json

import pytest
from paho.mqtt.enums import MQTTProtocolVersion

from mes.embedded.broker import Broker
from mes.mqtt import topics
from mes.mqtt.address import parse_url
from mes.mqtt.bridge import Bridge, Delivery
from tests.mqtt.floor import V311, binary, packed, publish, send

TOPICS = topics.ingest_subscriptions()


def ingest(url: str, **more: object) -> Bridge:
    return Bridge(url, "mes-ingest-test-0", TOPICS, **{"protocols": V311} | more)  # type: ignore[arg-type]


async def take(bridge: Bridge, count: int, timeout_s: float = 20.0) -> list[Delivery]:
    """That many deliveries, not acknowledged."""
    found: list[Delivery] = []
    async with asyncio.timeout(timeout_s):
        while len(found) < count:
            found += await bridge.get_batch(count - len(found))
    return found


async def nothing_comes(bridge: Bridge, seconds: float = 0.4) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(bridge.get_batch(1), seconds)


def ids(deliveries: list[Delivery]) -> list[str]:
    return [json.loads(one.payload)["id"] for one in deliveries]


async def test_what_is_acknowledged_does_not_come_again(mosquitto: Broker) -> None:
    async with ingest(mosquitto.url) as bridge:
        await bridge.connected()
        sent = await publish(mosquitto.url, map(str, range(50)))
        first = await take(bridge, 50)
        assert ids(first) == sent
        bridge.ack(first[:30])
    async with ingest(mosquitto.url) as bridge:
        again = await take(bridge, 20)
        assert ids(again) == sent[30:]
        bridge.ack(again)
    async with ingest(mosquitto.url) as bridge:
        await bridge.connected()
        await nothing_comes(bridge)


async def test_what_comes_while_we_are_away_waits(each_broker: Broker) -> None:
    async with ingest(each_broker.url) as bridge:
        await bridge.connected()
    sent = await publish(each_broker.url, map(str, range(200)))
    async with ingest(each_broker.url) as bridge:
        found = await take(bridge, 200)
        bridge.ack(found)
    assert ids(found) == sent


async def test_more_may_wait_than_the_queue_holds(mosquitto: Broker) -> None:
    async with ingest(mosquitto.url) as bridge:
        await bridge.connected()
    sent = await publish(mosquitto.url, map(str, range(3000)))
    async with ingest(mosquitto.url, queue_max_messages=100) as bridge:
        await asyncio.wait_for(bridge.connected(), 20)
        found: list[Delivery] = []
        for _ in range(30):
            found += await take(bridge, 100)
            bridge.ack(found[-100:])
        assert ids(found) == sent
        assert {one.connection for one in found} == {1}


async def test_a_dropped_connection_brings_everything_again(mosquitto: Broker) -> None:
    async with ingest(mosquitto.url) as bridge:
        await bridge.connected()
        sent = await publish(mosquitto.url, map(str, range(100)))
        old = await take(bridge, 60)
        bridge.drop()
        new = await take(bridge, 100)
        assert ids(new) == sent
        assert {one.connection for one in old} != {one.connection for one in new}
        bridge.ack(old)  # of the connection before: the same numbers mean other messages now
        await asyncio.sleep(0.1)
        bridge.drop()
        again = await take(bridge, 100)
        assert ids(again) == sent
        bridge.ack(again)
    async with ingest(mosquitto.url) as bridge:
        await bridge.connected()
        await nothing_comes(bridge)


async def test_a_full_queue_is_not_read_into(mosquitto: Broker) -> None:
    async with ingest(mosquitto.url, queue_max_messages=200) as bridge:
        await bridge.connected()
        sent = await publish(mosquitto.url, map(str, range(5000)))
        await asyncio.sleep(0.3)
        found: list[Delivery] = []
        async with asyncio.timeout(30):
            while len(found) < 5000:
                batch = await bridge.get_batch(100)
                await asyncio.sleep(0.002)
                bridge.ack(batch)
                found += batch
        assert ids(found) == sent
        assert bridge.queued_peak_messages <= 200


async def test_the_queue_is_bounded_in_bytes_too(mosquitto: Broker) -> None:
    async with ingest(mosquitto.url, queue_max_bytes=1_000_000) as bridge:
        await bridge.connected()
        body = b"x" * 400_000
        await asyncio.to_thread(send, mosquitto.url, [("mes/v1/st-1/run", body, None)] * 40)
        await asyncio.sleep(0.3)
        assert bridge.queued_peak_messages <= 3
        found = await take(bridge, 40)
        assert all(one.payload == body for one in found)
        bridge.ack(found)


async def test_a_batch_waits_for_more_but_not_for_ever(mosquitto: Broker) -> None:
    async with ingest(mosquitto.url) as bridge:
        await bridge.connected()
        waiting = asyncio.create_task(bridge.get_batch(10, linger_ms=60_000))
        await publish(mosquitto.url, ["1", "2"])
        await publish(mosquitto.url, map(str, range(3, 11)))
        assert len(await asyncio.wait_for(waiting, 30)) == 10
        await publish(mosquitto.url, ["11"])
        assert len(await asyncio.wait_for(bridge.get_batch(10, linger_ms=20), 30)) == 1


async def test_it_comes_back_after_the_broker_did(mosquitto: Broker) -> None:
    async with ingest(mosquitto.url) as bridge:
        await bridge.connected()
        await publish(mosquitto.url, ["1"])
        await take(bridge, 1)
        await mosquitto.stop()
        await asyncio.sleep(0.2)
        assert not bridge.is_up
        assert bridge.publish("mes/v1/st-1/receipts", b"later")
        await mosquitto.start()
        assert ids(await take(bridge, 1)) == ["1"]


async def test_mqtt_5_brings_user_properties(mosquitto: Broker) -> None:
    async with Bridge(mosquitto.url, "five", TOPICS) as bridge:
        await bridge.connected()
        assert bridge.protocol == MQTTProtocolVersion.MQTTv5
        await asyncio.to_thread(send, mosquitto.url, [binary("b1")], MQTTProtocolVersion.MQTTv5)
        (found,) = await take(bridge, 1)
        assert found.properties is not None
        assert (found.properties["id"], found.content_type) == ("b1", "application/json")
    async with Bridge(mosquitto.url, "five", TOPICS) as bridge:  # an MQTT 5 session is kept as well
        (found,) = await take(bridge, 1)
        assert found.duplicate


async def test_a_broker_that_knows_only_3_1_1_is_spoken_to_in_that(each_broker: Broker) -> None:
    async with Bridge(each_broker.url, "any", TOPICS) as bridge:
        await asyncio.wait_for(bridge.connected(), 15)
        five = each_broker.kind == "mosquitto"
        assert bridge.protocol == (MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311)
        await publish(each_broker.url, ["1"])
        assert ids(await take(bridge, 1)) == ["1"]


async def test_retained_status_is_known_as_such(mosquitto: Broker) -> None:
    async with Bridge(mosquitto.url, "station", protocols=V311) as station:
        await station.connected()
        station.publish("mes/v1/st-1/status", packed("s1"), retain=True)
        await asyncio.sleep(0.2)
    async with ingest(mosquitto.url) as bridge:
        (found,) = await take(bridge, 1)
        assert found.retained


@pytest.mark.parametrize(
    ("url", "broker"),
    [
        ("mqtt://127.0.0.1", ("127.0.0.1", 1883, None, None, False)),
        ("mqtts://u%40x:p%2Fw@broker:999", ("broker", 999, "u@x", "p/w", True)),
        ("mqtts://broker", ("broker", 8883, None, None, True)),
        ("mqtt://[::1]:1", ("::1", 1, None, None, False)),
    ],
)
def test_addresses(url: str, broker: tuple[object, ...]) -> None:
    assert parse_url(url) == broker


@pytest.mark.parametrize("url", ["", "broker:1883", "http://broker", "mqtt://", "mqtt://broker:x"])
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(ValueError, match=r"mqtt|Port"):
        parse_url(url)
