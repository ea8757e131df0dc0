"""Ingest can be watched: numbers for Prometheus at an address, one span per batch where a receiver is set."""

import asyncio
import json
import threading
from contextlib import suppress
from datetime import UTC, datetime
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from mes.embedded.broker import Broker
from mes.metrics import Metrics, told_at
from mes.mqtt import consumer, topics
from mes.mqtt.bridge import Bridge
from mes.mqtt.consumer import BatchDone
from mes.mqtt.crew import Part
from mes.mqtt.watching import LINKS_MAX, BatchWatch, station_links
from mes.tracing import OwnSpans
from tests.feeds.receiver import receiving
from tests.mqtt.floor import V311, Record, packed, send
from tests.parts import any_port


def traced(number: int, span: str | None = None) -> bytes:
    """A message of a station that traces what it does."""
    event = json.loads(packed(f"m{number}"))
    return json.dumps({**event, "traceparent": f"00-{'a' * 32}-{span or f'{number + 1:016x}'}-01"}).encode()


async def done(messages: list[bytes], *, settled: bool = True, waiting: int = 0) -> BatchDone:
    batch = [Part("mes/v1/st-1/unit", body, None, None) for body in messages]
    at = datetime.now(UTC)
    came = await consumer.here(Record(), source="mes/test")(batch, at) if settled else None
    return BatchDone(at, len(batch), came, waiting, 0.003)


async def test_a_batch_is_counted_and_told_as_one_span(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    metrics, record = Metrics(), Record()
    with receiving() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        spans = OwnSpans("main", "mes-ingest-main")
        async with Bridge(broker.url, "mes-ingest-test", topics.ingest_subscriptions(), protocols=V311) as bridge:
            await bridge.connected()
            watch = BatchWatch(metrics, spans)
            work = asyncio.create_task(
                consumer.run(bridge, consumer.here(record, source="mes/test"), linger_ms=200, watch=watch)
            )
            bodies = [*(traced(number) for number in range(3)), b"not read"]
            await asyncio.to_thread(send, broker.url, [("mes/v1/st-1/unit", body, None) for body in bodies])
            await record.until(4)
            work.cancel()
            with suppress(asyncio.CancelledError):
                await work
        await asyncio.to_thread(spans.close)
        told = receiver.spans
    assert len(told) == len(record.batches)
    assert sum(span.attributes["messaging.batch.message_count"] for span in told) == 4
    assert sum(span.attributes.get("mes.fate.applied", 0) for span in told) == 3
    assert sum(len(span.links) for span in told) == 3
    assert all({"mes.read_ms", "mes.settle_ms", "mes.tell_ms"} <= span.attributes.keys() for span in told)
    assert told[0].resource["service.instance.id"] == "mes-ingest-main"
    lines = metrics.text().splitlines()
    assert 'mes_ingest_messages_total{fate="applied"} 3' in lines
    assert 'mes_ingest_messages_total{fate="rejected"} 1' in lines
    assert "mes_ingest_lag_seconds_count 3" in lines
    assert f"mes_ingest_batch_messages_count {len(record.batches)}" in lines
    assert "mes_ingest_waiting 0" in lines


async def test_a_batch_that_failed_is_counted_as_such() -> None:
    metrics = Metrics()
    watch = BatchWatch(metrics, None)
    watch(await done([packed("a")], settled=False, waiting=7))
    lines = metrics.text().splitlines()
    assert "mes_ingest_batches_failed_total 1" in lines
    assert "mes_ingest_waiting 7" in lines
    assert "mes_ingest_batch_messages_count 0" in lines


async def test_links_are_told_once_and_are_bounded() -> None:
    async def links(messages: list[bytes]) -> int:
        came = (await done(messages)).done
        assert came is not None
        return len(station_links(came.traceparents))

    assert await links([traced(1, "b" * 16)] * 5) == 1
    assert await links([traced(number) for number in range(100)]) == LINKS_MAX
    assert await links([packed("a"), b"not read"]) == 0


async def test_a_receiver_that_is_away_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{any_port()}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    before = set(threading.enumerate())
    spans = OwnSpans("main", "mes-ingest-main")
    BatchWatch(Metrics(), spans)(await done([packed("a")]))
    began = datetime.now(UTC)
    spans.close()
    assert (datetime.now(UTC) - began).total_seconds() < 20
    for one in (
        set(threading.enumerate()) - before
    ):  # tries again with chance, which property tests don't bear beside them
        await asyncio.to_thread(one.join, 30)


def test_the_text_is_what_prometheus_reads() -> None:
    metrics = Metrics()
    metrics.counter("mes_told_total", 'With "quotes"\nand lines.').add(2, station='a"b\\c')
    metrics.gauge("mes_level", "A level.", 1.5)
    spread = metrics.histogram("mes_spread_seconds", "A spread.", (0.1, 1))
    spread.observe([0.1, 0.5, 2])
    assert metrics.text().splitlines() == [
        '# HELP mes_told_total With "quotes"\\nand lines.',
        "# TYPE mes_told_total counter",
        'mes_told_total{station="a\\"b\\\\c"} 2',
        "# HELP mes_level A level.",
        "# TYPE mes_level gauge",
        "mes_level 1.5",
        "# HELP mes_spread_seconds A spread.",
        "# TYPE mes_spread_seconds histogram",
        'mes_spread_seconds_bucket{le="0.1"} 1',
        'mes_spread_seconds_bucket{le="1"} 2',
        'mes_spread_seconds_bucket{le="+Inf"} 3',
        "mes_spread_seconds_sum 2.6",
        "mes_spread_seconds_count 3",
    ]


async def test_numbers_are_told_at_an_address() -> None:
    metrics, port = Metrics(), any_port()
    metrics.gauge("mes_level", "A level.", 3)

    def ask(path: str) -> str:
        with urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            return str(answer.read().decode())

    async with told_at(metrics, "127.0.0.1", port):
        assert "mes_level 3" in await asyncio.to_thread(ask, "/metrics")
        assert await asyncio.to_thread(ask, "/healthz") == "alive\n"
        with pytest.raises(HTTPError, match="404") as refused:
            await asyncio.to_thread(ask, "/")
        refused.value.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"x" * 20_000)
        await writer.drain()
        assert await reader.read() == b""
        writer.close()
    with pytest.raises(OSError, match="refused"):
        await asyncio.to_thread(ask, "/metrics")
