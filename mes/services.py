"""The processes of the MES: serve (REST and pages), ingest (facts), answer (asks), feeds (the journal's readers).

Each runs until it is ended. They share nothing but the database and the broker, so each can die and come back alone.
"""

import asyncio
import gc
import logging
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Final

import uvicorn

from mes.app import create_app
from mes.commands.asking import Answer, not_settled
from mes.commands.asking import answer as answer_ask
from mes.commands.ingest import Entrance, Retried, is_infrastructure, settle, settle_pending
from mes.commands.interruptions import Patience, interrupt_overdue
from mes.db import migrate, sequencer
from mes.db.in_hand import Hand
from mes.db.partitions import make_partitions
from mes.db.session import Database
from mes.feeds import telemetry, traces
from mes.feeds.following import follow
from mes.formats.messages import Arrived, Message, Unreadable
from mes.metrics import Metrics, told_at
from mes.mqtt import consumer, topics
from mes.mqtt.answers import Answering
from mes.mqtt.bridge import Bridge
from mes.mqtt.cautious_bridge import CautiousBridge
from mes.mqtt.receipts import Settled
from mes.mqtt.watching import SECONDS, BatchWatch
from mes.settings import Settings, open_telemetry
from mes.tracing import OwnSpans, UnitSpans
from mes.web.hub import Hub

log = logging.getLogger(__name__)

PARTITIONS_S: Final = 24 * 3600
"""How often partitions are made ahead."""
INTERRUPT_S: Final = 10
"""How often runs are looked for whose end is overdue."""
COLLECT_EVERY: Final = 50_000
"""How many more objects there have to be in an ingest process until garbage is looked for among the young ones."""
STOP_S: Final = 3
"""How long a stopping server waits for open answers, in seconds."""


class NotReady(Exception):  # noqa: N818 - what a service is, not an error of ours
    """A service can't start; the text says what to do."""


async def open_database(settings: Settings) -> Database:
    """The database of the settings, reachable and migrated."""
    if settings.database_url is None:
        raise NotReady("No database is set. Set MES_DATABASE_URL, or use `mes up`, which brings its own.")
    database = Database(settings.database_url, site=settings.site)
    try:
        missing = await migrate.pending(database)
    except Exception as error:
        await database.close()
        raise NotReady(f"The database can't be reached: {error}") from error
    if missing:
        await database.close()
        raise NotReady(f"The database lacks {len(missing)} migrations. Run `mes migrate` first.")
    return database


def mqtt_url(settings: Settings) -> str:
    """The broker of the settings."""
    if settings.mqtt_url is None:
        raise NotReady("No broker is set. Set MES_MQTT_URL, or use `mes up`, which brings its own.")
    return settings.mqtt_url


class Server(uvicorn.Server):
    """A server that ends the streams of live pages when it is to stop: it would wait for them to end by themselves."""

    def __init__(self, config: uvicorn.Config, hub: Hub) -> None:
        super().__init__(config)
        self._hub = hub

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._hub.stop()
        await super().shutdown(sockets)


async def serve(settings: Settings) -> None:
    """REST and pages, on the address of the settings."""
    database = await open_database(settings)
    app = create_app(database, settings)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        lifespan="off",
        timeout_graceful_shutdown=STOP_S,
    )
    server = Server(config, app.state.hub)
    serving = asyncio.create_task(server.serve())
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        # What is being answered is answered; only then may the database be closed.
        server.should_exit = True
        await serving
        raise
    finally:
        await database.close()


async def ingest(settings: Settings, slot: int | None = None, ready_file: Path | None = None) -> None:
    """Facts from the broker into the record. `ready_file` is written when the broker keeps our messages for us.

    One process takes all, which keeps each unit's order. With a `slot` several share the work: late facts then need
    more folding, and each slot's client id must come back for its share to be delivered.
    """
    url = mqtt_url(settings)
    database = await open_database(settings)
    share = None if slot is None else f"mes-{settings.site}"
    client_id = f"mes-ingest-{settings.site}" + ("" if slot is None else f"-{slot}")
    source = f"mes/{settings.site}"
    bridge = CautiousBridge(
        url,
        client_id,
        topics.ingest_subscriptions(share),
        hand=Hand(database, client_id),
        reject=lambda one: reject(one),
        queue_max_messages=settings.queue_max_messages,
    )
    metrics = Metrics()
    spans = _own_spans(settings.site, client_id)

    entrance = Entrance()
    _spare_the_collector()

    async def settle_batch(arrived: Sequence[Arrived], at: datetime) -> Sequence[Settled]:
        return await settle(database, arrived, at, entrance)

    async def reject(one: Unreadable) -> None:
        at = datetime.now(UTC)
        consumer.publish_settled(bridge, await settle(database, [one], at), source=source, at=at)

    async def retry(at: datetime) -> Retried:
        return await settle_pending(database, at)

    try:
        async with _told(metrics, settings), bridge, asyncio.TaskGroup() as tasks:
            tasks.create_task(consumer.retry_pending(bridge, retry, source=source, every_s=settings.pending_retry_s))
            tasks.create_task(_make_partitions(database))
            tasks.create_task(_interrupt_runs(database, Patience(settings.run_offline_s, settings.run_silent_s)))
            if ready_file:
                tasks.create_task(_tell_when_up(bridge, ready_file))
            await consumer.run(
                bridge,
                settle_batch,
                source=source,
                batch_max_messages=settings.batch_max_messages,
                linger_ms=settings.batch_linger_ms,
                message_max_bytes=settings.message_max_bytes,
                watch=BatchWatch(metrics, spans),
            )
    finally:
        await database.close()
        if spans:
            spans.close()


def _spare_the_collector() -> None:
    """Let garbage be looked for rarely, and never among what was there from the start.

    A batch makes tens of thousands of small objects and drops them all. By default each few hundred of them start a
    search, which took a quarter of the time of ingest.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_EVERY, 20, 50)


async def answer(settings: Settings, ready_file: Path | None = None) -> None:
    """Answers to asks, in a process of its own: under load, ingest would let a line wait."""
    url = mqtt_url(settings)
    database = await open_database(settings)
    bridge = Bridge(url, f"mes-answer-{settings.site}", topics.ask_subscriptions())
    metrics = Metrics()
    asks = metrics.counter("mes_asks_total", "Asks answered, by whether the step was granted.")
    took = metrics.histogram("mes_ask_seconds", "From taking an ask to its answer.", SECONDS)

    async def decide(asked: Message) -> Answer:
        began = perf_counter()
        answered = await decided(asked)
        asks.add(granted=str(answered.granted).lower())
        took.observe([perf_counter() - began])
        return answered

    async def decided(asked: Message) -> Answer:
        missing = await not_settled(database, asked)
        at = datetime.now(UTC)
        return await answer_ask(database, asked, missing, at, min(asked.time, at) if settings.history else at)

    answering = Answering(
        bridge,
        decide,
        is_infrastructure,
        source=f"mes/{settings.site}",
        message_max_bytes=settings.message_max_bytes,
    )
    try:
        async with _told(metrics, settings), bridge, asyncio.TaskGroup() as tasks:
            if ready_file:
                tasks.create_task(_tell_when_up(bridge, ready_file))
            await answering.run()
    finally:
        await database.close()


def sends_spans() -> bool:
    """Whether spans are sent somewhere. What is set wrong for it is said, and keeps nothing else from working."""
    wanted = open_telemetry()
    if wanted.wanted and wanted.problem:
        log.error("no spans are sent: %s", wanted.problem)
        return False
    return wanted.wanted


def _own_spans(site: str, process: str) -> OwnSpans | None:
    try:
        return OwnSpans(site, process) if sends_spans() else None
    except ValueError as error:
        log.error("no spans are sent: %s", error)
        return None


async def _send_traces(database: Database, site: str, metrics: Metrics) -> None:
    """The feed of units' traces."""
    try:
        spans = UnitSpans(site, metrics)
    except ValueError as error:
        log.error("no spans are sent: %s", error)
        return
    try:
        await follow(database, traces.NAME, traces.TraceFeed(database, spans).deliver)
    finally:
        spans.close()


@asynccontextmanager
async def _told(metrics: Metrics, settings: Settings) -> AsyncIterator[None]:
    """A process's numbers are told while the block lasts, where a port is set for them."""
    async with AsyncExitStack() as told:
        if settings.metrics_port is not None:
            try:
                await told.enter_async_context(told_at(metrics, settings.host, settings.metrics_port))
            except OSError as error:
                raise NotReady(
                    f"Port {settings.metrics_port}, for metrics, can't be used: {error.strerror}."
                ) from error
        yield


async def _tell_when_up(bridge: Bridge, ready_file: Path) -> None:
    """A broker drops what nobody has asked for yet: only from now on is nothing lost."""
    await bridge.connected()
    await asyncio.to_thread(ready_file.write_text, "ready\n")


async def _interrupt_runs(database: Database, patience: Patience) -> None:
    """Give up runs whose end is overdue, now and then."""
    while True:
        try:
            found = await interrupt_overdue(database, patience, datetime.now(UTC))
            if found:
                log.warning("interrupted %d runs whose end is overdue", found)
        except Exception as error:
            log.warning("runs whose end is overdue were not looked for: %s", error)
        await asyncio.sleep(INTERRUPT_S)


async def _make_partitions(database: Database) -> None:
    while True:
        try:
            async with database.transaction() as connection:
                made = await make_partitions(connection, datetime.now(UTC))
            if made:
                log.info("made partitions ahead: %s", ", ".join(made))
            await asyncio.sleep(PARTITIONS_S)
        except Exception as error:
            log.warning("partitions could not be made ahead: %s", error)
            await asyncio.sleep(60)


async def feeds(settings: Settings) -> None:
    """What reads the journal, first the sequencer, which gives entries their positions; and what ages is tended."""
    database = await open_database(settings)
    metrics = Metrics()
    try:
        async with _told(metrics, settings), asyncio.TaskGroup() as tasks:
            tasks.create_task(sequencer.run(database))
            if sends_spans():
                tasks.create_task(_send_traces(database, settings.site, metrics))
            tasks.create_task(telemetry.run(database, settings.samples_keep_days))
    finally:
        await database.close()
