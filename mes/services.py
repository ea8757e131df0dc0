"""The processes of the MES: answer (asks) and feeds (the journal's readers); `serving` has the one for REST and pages,
`ingesting` the one for facts.

Each runs until it is ended. They share nothing but the database and the broker, so each can die and come back alone.
"""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from mes.commands.asking import Answer, not_settled
from mes.commands.asking import answer as answer_ask
from mes.commands.awaiting import Arrivals
from mes.commands.ingest import is_infrastructure
from mes.db import migrate, sequencer
from mes.db.asks import make_ready
from mes.db.session import Database
from mes.feeds import telemetry, traces
from mes.feeds.following import follow
from mes.formats.messages import Message
from mes.metrics import Metrics, told_at
from mes.mqtt import topics
from mes.mqtt.answers import Answering
from mes.mqtt.bridge import Bridge
from mes.mqtt.watching import SECONDS
from mes.settings import Settings, open_telemetry
from mes.tracing import OwnSpans, UnitSpans

log = logging.getLogger(__name__)


class NotReady(Exception):  # noqa: N818 - what a service is, not an error of ours
    """A service can't start; the text says what to do."""


def begin_log(using: Settings) -> None:
    """Log to the terminal, from the level of the settings on."""
    logging.basicConfig(level=using.log_level, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    if logging.getLogger().level >= logging.INFO:
        logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells at every start that it looked


async def open_database(settings: Settings) -> Database:
    """The database of the settings, reachable and migrated."""
    if settings.database_url is None:
        raise NotReady("No database is set. Set MES_DATABASE_URL, or use `mes up`, which brings its own.")
    database = Database(settings.database_url, site=settings.site)
    try:
        missing, unknown = await migrate.look_at_schema(database)
    except Exception as error:
        await database.close()
        raise NotReady(f"The database can't be reached: {error}") from error
    if missing or unknown:
        await database.close()
        if unknown:
            raise NotReady("The database's schema is newer than this program. Install the version that migrated it.")
        raise NotReady(f"The database lacks {len(missing)} migrations. Run `mes migrate` first.")
    return database


def mqtt_url(settings: Settings) -> str:
    """The broker of the settings."""
    if settings.mqtt_url is None:
        raise NotReady("No broker is set. Set MES_MQTT_URL, or use `mes up`, which brings its own.")
    return settings.mqtt_url


async def answer(settings: Settings, ready_file: Path | None = None) -> None:
    """Answers to asks, in a process of its own: under load, ingest would let a line wait."""
    url = mqtt_url(settings)
    database = await open_database(settings)
    bridge = Bridge(url, f"mes-answer-{settings.site}", topics.ask_subscriptions())
    metrics = Metrics()
    asks = metrics.counter("mes_asks_total", "Asks answered, by whether the step was granted.")
    took = metrics.histogram("mes_ask_seconds", "From taking an ask to its answer.", SECONDS)
    arrivals = Arrivals(database)

    async def decide(asked: Message) -> Answer:
        began = perf_counter()
        answered = await decided(asked)
        asks.add(granted=str(answered.granted).lower())
        took.observe([perf_counter() - began])
        return answered

    async def decided(asked: Message) -> Answer:
        missing = await not_settled(arrivals, asked)
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
        await make_ready(database)
        _spare_the_collector()
        async with told(metrics, settings), bridge, asyncio.TaskGroup() as tasks:
            if ready_file:
                tasks.create_task(tell_when_up(bridge, ready_file))
            await answering.run()
    finally:
        await database.close()


def _spare_the_collector() -> None:
    """Let garbage never be looked for among what was there from the start: that would hold up an answer."""
    gc.collect()
    gc.freeze()


def sends_spans() -> bool:
    """Whether spans are sent somewhere. What is set wrong for it is said, and keeps nothing else from working."""
    wanted = open_telemetry()
    if wanted.wanted and wanted.problem:
        log.error("no spans are sent: %s", wanted.problem)
        return False
    return wanted.wanted


def own_spans(site: str, process: str) -> OwnSpans | None:
    """Where a process tells of its own work; None: spans are not sent."""
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
async def told(metrics: Metrics, settings: Settings) -> AsyncIterator[None]:
    """A process's numbers are told while the block lasts, where a port is set for them."""
    async with AsyncExitStack() as open_address:
        if settings.metrics_port is not None:
            try:
                await open_address.enter_async_context(told_at(metrics, settings.host, settings.metrics_port))
            except OSError as error:
                raise NotReady(
                    f"Port {settings.metrics_port}, for metrics, can't be used: {error.strerror}."
                ) from error
        yield


async def tell_when_up(bridge: Bridge, ready_file: Path) -> None:
    """A broker drops what nobody has asked for yet: only from now on is nothing lost."""
    await bridge.connected()
    await asyncio.to_thread(ready_file.write_text, "ready\n")


async def feeds(settings: Settings) -> None:
    """What reads the journal, first the sequencer, which gives entries their positions; and what ages is tended."""
    database = await open_database(settings)
    metrics = Metrics()
    try:
        async with told(metrics, settings), asyncio.TaskGroup() as tasks:
            tasks.create_task(sequencer.run(database))
            if sends_spans():
                tasks.create_task(_send_traces(database, settings.site, metrics))
            tasks.create_task(telemetry.run(database, settings.samples_keep_days))
    finally:
        await database.close()
