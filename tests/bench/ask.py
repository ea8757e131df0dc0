"""May this step begin? How long a station waits for the answer: with nothing else to do, when a shift begins and all
stations ask at once, and under full ingest.

`echo` is the bare broker: a message to oneself, in the same run. An ask crosses the broker twice, as does its answer,
and its decision is on disk before the answer is sent. Under load it competes with an ingest process that works through
a full queue on the same cores. Processor time per ask is that of the answering process and of PostgreSQL, idle.
"""

import asyncio
import queue
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final, NamedTuple

import msgspec
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests.bench import floor
from tests.bench.ingest import port, receipts
from tests.bench.parts import Parts, Running, conditions, database_cpu_s, running
from tests.bench.publisher import packets, publish

ANSWER_S: Final = 30
PAUSE_S: Final = 0.005
"""Between two asks: a line of stations asks now and then, it does not hammer."""
STATION: Final = "ft-00"
ASKS: Final = f"mes/v1/{STATION}/ask"
ECHO: Final = "bench/echo"


class Size(NamedTuple):
    """How many asks, how many at once when a shift begins, and how many units' runs they compete with."""

    asks: int
    at_once: int
    units: int


FULL: Final = Size(1000, 300, 6000)
SHORT: Final = Size(10, 20, 40)


class Station:
    """A station that waits for one message at a time."""

    def __init__(self, client: paho.Client) -> None:
        self._client = client
        self._came: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        client.on_message = lambda _client, _userdata, message: self._came.put(message.payload)

    def echo(self) -> float:
        """Milliseconds of a message to oneself."""
        return self._round_trip(ECHO, uuid.uuid4().bytes)

    def ask(self, serial: str) -> float:
        """Milliseconds from an ask to its answer."""
        asked = str(uuid.uuid4())
        took_ms = self._round_trip(ASKS, _event(asked, serial))
        assert self.last["asked"] == asked, self.last
        return took_ms

    def ask_at_once(self, serials: Sequence[str]) -> list[float]:
        """Milliseconds from asking for all of these units in one breath to each of their answers."""
        begun = time.perf_counter()
        for serial in serials:
            self._client.publish(ASKS, _event(str(uuid.uuid4()), serial), qos=1)
        took_ms = []
        for _ in serials:
            self._last = self._came.get(timeout=ANSWER_S)
            took_ms.append((time.perf_counter() - begun) * 1000)
            assert self.last["granted"], self.last
        return took_ms

    @property
    def last(self) -> Any:
        """The data of the newest answer."""
        return msgspec.json.decode(self._last)["data"]

    def _round_trip(self, topic: str, payload: bytes) -> float:
        time.sleep(PAUSE_S)
        begun = time.perf_counter()
        self._client.publish(topic, payload, qos=1)
        self._last = self._came.get(timeout=ANSWER_S)
        return (time.perf_counter() - begun) * 1000


def _event(asked: str, serial: str) -> bytes:
    event = {
        "specversion": "1.0",
        "id": asked,
        "source": f"stations/{STATION}",
        "type": "mes.step.asked",
        "time": datetime.now(UTC).isoformat(),
        "data": {"unit": serial, "step": "test-0"},
    }
    return msgspec.json.encode(event)


@contextmanager
def station(broker_url: str) -> Iterator[Station]:
    """A connected station that hears its answers and its own echo."""
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.on_socket_open = _without_delay
    client.connect("127.0.0.1", port(broker_url))
    client.subscribe([(f"mes/v1/{STATION}/answers", 1), (ECHO, 1)])
    client.loop_start()
    try:
        yield Station(client)
    finally:
        client.disconnect()
        client.loop_stop()


def _without_delay(_client: paho.Client, _userdata: Any, opened: Any) -> None:
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def percentile(values: list[float], share: float) -> float:
    """The value that this share of them does not exceed."""
    return round(sorted(values)[min(int(len(values) * share), len(values) - 1)], 2)


async def _timed(one: Callable[[int], float], count: int) -> list[float]:
    return await asyncio.to_thread(lambda: [one(number) for number in range(count)])


async def _idle(parts: Parts, answering: Running, asking: Station, units: Sequence[str]) -> dict[str, float]:
    """Asks one after the other, with nothing else to do."""
    began_s, database_began_s = answering.cpu_s, database_cpu_s(parts.postgres)
    took = await _timed(lambda number: asking.ask(units[number]), len(units))
    return {
        "ask_p50_ms": percentile(took, 0.5),
        "ask_p99_ms": percentile(took, 0.99),
        "ask_cpu_ms": round((answering.cpu_s - began_s) / len(units) * 1000, 2),
        "ask_postgres_cpu_ms": round((database_cpu_s(parts.postgres) - database_began_s) / len(units) * 1000, 2),
    }


async def _under_ingest(
    parts: Parts, database_url: str, asking: Station, units: Sequence[str], made: Sequence[bytes]
) -> dict[str, float]:
    """Asks one after the other, as long as ingest works through a full queue."""
    await asyncio.to_thread(publish, port(parts.broker.url), made)
    took: list[float] = []
    async with receipts(parts.broker.url) as told, parts.process("ingest", database_url) as ingest:
        while not took or (sum(told.fates.values()) < len(made) and len(took) < len(units)):
            took.append(await asyncio.to_thread(asking.ask, units[len(took)]))
        settled, took_s = sum(told.fates.values()), time.time() - ingest.up_at
    return {
        "ask_p50_loaded_ms": percentile(took, 0.5),
        "ask_p99_loaded_ms": percentile(took, 0.99),
        "asks_loaded": len(took),
        "ingest_per_s_meanwhile": round(settled / took_s),
    }


async def run(*, short: bool = False) -> dict[str, Any]:
    """Percentiles in milliseconds: idle, all at once, under full ingest, and of the bare broker."""
    size = SHORT if short else FULL
    units = iter(floor.serials(size.units + 2 * size.asks + size.at_once)[size.units :])
    made = packets(list(floor.runs(size.units)))
    async with running() as parts:
        await parts.floor(size.units + 2 * size.asks + size.at_once)
        database_url = await parts.fresh_database()
        async with parts.process("ingest", database_url):
            pass  # from now on the broker keeps messages for it
        async with parts.process("answer", database_url) as answering:
            with station(parts.broker.url) as asking:
                await _timed(lambda _: asking.echo(), 20)
                echo = await _timed(lambda _: asking.echo(), size.asks)
                idle = await _idle(parts, answering, asking, list(islice(units, size.asks)))
                at_once = await asyncio.to_thread(asking.ask_at_once, list(islice(units, size.at_once)))
                loaded = await _under_ingest(parts, database_url, asking, list(units), made)
        return {
            **idle,
            **loaded,
            "echo_p50_ms": percentile(echo, 0.5),
            "echo_p99_ms": percentile(echo, 0.99),
            "asks": size.asks,
            "asks_at_once": size.at_once,
            "at_once_p50_ms": percentile(at_once, 0.5),
            "at_once_last_ms": percentile(at_once, 1),
            **await conditions(parts),
        }
