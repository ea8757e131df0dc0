"""Stations and a record for tests: messages to publish, a settle that keeps what it was given, receipts that came."""

import asyncio
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from mes.domain.refusals import Reason
from mes.formats.messages import Arrived, Fate, Message, UnitPacked, UnitRef, encode_event
from mes.mqtt.address import parse_url
from mes.mqtt.bridge import Bridge

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
V311 = (MQTTProtocolVersion.MQTTv311,)


class Fact(NamedTuple):
    """What became of one message, as the ingest command says it."""

    station: str
    key: str
    keyed_by: str
    fate: Fate
    reasons: tuple[Reason, ...] = ()


class Record:
    """A settle that remembers every batch. `gate` holds it up, `failures` make it raise first, `pause_s` slows it."""

    def __init__(self, failures: int = 0, pause_s: float = 0.0) -> None:
        self.batches: list[list[Arrived]] = []
        self.failures = failures
        self.pause_s = pause_s
        self.begun = asyncio.Event()
        self.grown = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, arrived: Sequence[Arrived], at: datetime) -> list[Fact]:
        assert at.tzinfo is UTC
        self.begun.set()
        await self.gate.wait()
        await asyncio.sleep(self.pause_s)
        if self.failures:
            self.failures -= 1
            raise ConnectionError("the database is gone")
        self.batches.append(list(arrived))
        self.grown.set()
        return [self.fate(one) for one in arrived]

    def fate(self, one: Arrived) -> Fact:
        if isinstance(one, Message):
            return Fact(one.station, one.id, "id", "applied")
        return Fact(one.station, one.id or one.sha256, "id" if one.id else "sha256", "rejected", one.reasons)

    @property
    def ids(self) -> list[str]:
        return [one.id or one.sha256 for batch in self.batches for one in batch]

    async def until(self, count: int, timeout_s: float = 30.0) -> list[str]:
        """The ids once there are that many different ones."""
        async with asyncio.timeout(timeout_s):
            while len(set(self.ids)) < count:
                self.grown.clear()
                await self.grown.wait()
        return self.ids


def packed(id: str, station: str = "st-1") -> bytes:
    """A message that a unit was packed."""
    return encode_event("mes.unit.packed", f"stations/{station}", id, NOW, UnitPacked(UnitRef("RK-1"), NOW))


async def publish(url: str, ids: Iterable[str], station: str = "st-1") -> list[str]:
    """Publishes one message for each id and waits until the broker has them all."""
    sent = list(ids)
    messages = [(f"mes/v1/{station}/unit", packed(id, station), None) for id in sent]
    await asyncio.to_thread(send, url, messages)
    return sent


def send(
    url: str,
    messages: Sequence[tuple[str, bytes, Properties | None]],
    protocol: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv311,
) -> None:
    """Publishes with plain paho in its own thread, as any station would; returns once all are acknowledged."""
    broker = parse_url(url)
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=protocol)
    client.max_inflight_messages_set(1000)
    client.connect(broker.host, broker.port)
    client.loop_start()
    try:
        infos = [
            client.publish(topic, payload, qos=1, properties=properties) for topic, payload, properties in messages
        ]
        for info in infos:
            info.wait_for_publish(30)
            assert info.is_published()
    finally:
        client.disconnect()
        client.loop_stop()


def binary(id: str, station: str = "st-1") -> tuple[str, bytes, Properties]:
    """The same message in the binary mode of MQTT 5."""
    whole = json.loads(packed(id, station))
    properties = Properties(PacketTypes.PUBLISH)
    properties.ContentType = "application/json"
    properties.UserProperty = [(name, value) for name, value in whole.items() if name != "data"]
    return f"mes/v1/{station}/unit", json.dumps(whole["data"]).encode(), properties


async def receipts(bridge: Bridge, count: int) -> dict[str, tuple[str, list[str]]]:
    """The fates and reason codes that came for that many messages, by id or digest."""
    found: dict[str, tuple[str, list[str]]] = {}
    async with asyncio.timeout(20):
        while len(found) < count:
            for one in await bridge.get_batch(100):
                for entry in json.loads(one.payload)["data"]["settled"]:
                    codes = [reason["code"] for reason in entry.get("reasons", [])]
                    found[entry.get("id") or entry["sha256"]] = (entry["fate"], codes)
                bridge.ack([one])
    return found
