"""From the station's message over a real broker into a real record, and back as a receipt."""

import asyncio
import functools
from collections.abc import AsyncIterator
from contextlib import suppress

import asyncpg
import pytest
from sqlalchemy import text

from mes.commands.ingest import settle, settle_pending
from mes.db.session import Database
from mes.embedded.broker import Broker
from mes.formats.messages import TYPES, Message, PartReceived, encode_event
from mes.mqtt import consumer, topics
from mes.mqtt.bridge import Bridge
from tests.mqtt.floor import NOW, V311, receipts, send
from tests.parts import needs_mosquitto
from tests.stage import Stage


@pytest.fixture
async def stage(database: Database) -> Stage:
    stage = Stage(database)
    await stage.set_up()
    return stage


@pytest.fixture
async def ingest(stage: Stage, broker: Broker, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bridge]:
    """An ingest process's two loops at work on the stage's database."""
    monkeypatch.setattr(consumer, "RETRY_MIN_S", 0.05)
    async with Bridge(broker.url, "mes-ingest-test-0", topics.ingest_subscriptions(), protocols=V311) as bridge:
        await asyncio.wait_for(bridge.connected(), 15)
        work = [
            consumer.run(
                bridge,
                consumer.here(functools.partial(settle, stage.database), source="mes/test"),
                batch_max_messages=50,
            ),
            consumer.retry_pending(
                bridge, functools.partial(settle_pending, stage.database), source="mes/test", every_s=0.1
            ),
        ]
        tasks = [asyncio.create_task(one) for one in work]
        yield bridge
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def on_its_topic(message: Message) -> tuple[str, bytes, None]:
    kind = next(kind for kind, types in TYPES.items() if message.type in types)
    return f"mes/v1/{message.station}/{kind}", message.body, None


async def test_a_tray_is_built_over_the_wire(stage: Stage, broker: Broker, ingest: Bridge) -> None:
    messages = [*stage.build("T1", 0, "G1", "G2"), stage.run("T1", "test", 200)]
    async with (
        Bridge(broker.url, "as-1", topics.station_subscriptions("as-1"), protocols=V311) as assembly,
        Bridge(broker.url, "ft-1", topics.station_subscriptions("ft-1"), protocols=V311) as tester,
    ):
        await asyncio.gather(assembly.connected(), tester.connected())
        await asyncio.to_thread(send, broker.url, [on_its_topic(one) for one in messages])
        assert {fate for fate, _ in (await receipts(assembly, 5)).values()} == {"pending"}  # no such unit yet
        assert await receipts(tester, 1) == {messages[-1].id: ("pending", ["unknown_unit"])}
        await stage.release("T1")
        assert {fate for fate, _ in (await receipts(assembly, 5)).values()} == {"applied"}
        assert {fate for fate, _ in (await receipts(tester, 1)).values()} == {"applied"}


async def test_a_database_that_goes_away_loses_nothing(
    stage: Stage, broker: Broker, ingest: Bridge, database_url: str
) -> None:
    needs_mosquitto(broker)
    ids = [f"r{number}" for number in range(600)]
    wire = [
        encode_event("mes.part.received", "stations/as-1", id, NOW, PartReceived("GPU-1", NOW, serial=f"GX-{id}"))
        for id in ids
    ]
    async with Bridge(broker.url, "as-1", topics.station_subscriptions("as-1"), protocols=V311) as station:
        await station.connected()
        interrupting = asyncio.create_task(_interrupt(database_url))
        await asyncio.to_thread(send, broker.url, [("mes/v1/as-1/unit", payload, None) for payload in wire])
        found = await receipts(station, 600)
        interrupting.cancel()
    assert set(found) == set(ids)
    assert {fate for fate, _ in found.values()} <= {"applied", "duplicate"}
    async with stage.database.reading() as connection:
        count = await connection.scalar(text("SELECT count(*) FROM identifier WHERE value LIKE 'GX-%'"))
    assert count == 600


async def _interrupt(database_url: str) -> None:
    """Ends the MES's connections to the database, again and again."""
    connection = await asyncpg.connect(database_url, ssl=False)
    try:
        for _ in range(6):
            await asyncio.sleep(0.15)
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name = 'mes'"
            )
    finally:
        await connection.close()
