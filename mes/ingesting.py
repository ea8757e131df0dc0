"""`mes ingest`: facts from the broker into the record, by one process or by a crew that it starts.

As a module it is one of that crew: `python -m mes.ingesting N` settles what it is handed on the socket N.
"""

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from mes import services
from mes.commands.entrance import Entrance
from mes.commands.ingest import Retried, settle, settle_pending
from mes.commands.interruptions import Patience, interrupt_overdue
from mes.db.in_hand import Hand
from mes.db.partitions import make_partitions
from mes.db.session import Database
from mes.embedded.processes import ENDING_SIGNALS
from mes.formats.messages import Unreadable
from mes.metrics import Metrics
from mes.mqtt import consumer, crew, topics
from mes.mqtt.address import parse_url
from mes.mqtt.cautious_bridge import CautiousBridge
from mes.mqtt.consumer import Here, Take
from mes.mqtt.watching import BatchWatch
from mes.settings import Settings

log = logging.getLogger(__name__)

PARTITIONS_S: Final = 24 * 3600
"""How often partitions are made ahead."""
PUT_OFF_S: Final = 60
"""When it is tried again to make those that could not be made."""
INTERRUPT_S: Final = 2
"""How often runs are looked for whose end is overdue."""
COLLECT_EVERY: Final = 500_000
"""How many more objects there have to be in a settling process until garbage is looked for among the young ones."""


async def ingest(settings: Settings, slot: int | None = None, ready_file: Path | None = None) -> None:
    """Facts from the broker into the record. `ready_file` is written when the broker keeps our messages for us.

    One process takes all from the broker, which keeps each unit's order. With a `slot` several share the work: late
    facts then need more folding, and each slot's client id must come back for its share to be delivered.
    """
    url = services.mqtt_url(settings)
    database = await services.open_database(settings)
    share = None if slot is None else topics.ingest_share(settings.site, parse_url(url).password)
    client_id = f"mes-ingest-{settings.site}" + ("" if slot is None else f"-{slot}")
    source = _source(settings)
    bridge = CautiousBridge(
        url,
        client_id,
        topics.ingest_subscriptions(share),
        hand=Hand(database, client_id),
        reject=lambda one: reject(one),
        queue_max_messages=settings.queue_max_messages,
    )
    metrics = Metrics()
    spans = services.own_spans(settings.site, client_id)

    async def reject(one: Unreadable) -> None:
        at = datetime.now(UTC)
        consumer.publish(bridge, consumer.written(await settle(database, [one], at), source, at))

    async def retry(at: datetime, after: str | None) -> Retried:
        return await settle_pending(database, at, after)

    try:
        async with (
            services.told(metrics, settings),
            asyncio.TaskGroup() as tasks,
            _takers(settings, database, tasks) as take,
            bridge,
        ):
            tasks.create_task(consumer.retry_pending(bridge, retry, source=source, every_s=settings.pending_retry_s))
            tasks.create_task(_make_partitions(database))
            tasks.create_task(_interrupt_runs(database, Patience(settings.run_offline_s, settings.run_silent_s)))
            if ready_file:
                tasks.create_task(services.tell_when_up(bridge, ready_file))
            await consumer.run(
                bridge,
                take,
                batch_max_messages=settings.batch_max_messages * max(settings.ingest_workers, 1),
                linger_ms=settings.batch_linger_ms,
                in_hand_max=crew.IN_HAND_MAX if settings.ingest_workers else consumer.IN_HAND_MAX,
                watch=BatchWatch(metrics, spans),
            )
    except BaseExceptionGroup as group:
        if ended := group.subgroup(crew.CrewEndedError):
            raise services.NotReady(f"Messages can't be settled: {ended.exceptions[0]}") from group
        raise
    finally:
        await database.close()
        if spans:
            spans.close()


def _source(settings: Settings) -> str:
    """Who signs receipts."""
    return f"mes/{settings.site}"


@asynccontextmanager
async def _takers(settings: Settings, database: Database, tasks: asyncio.TaskGroup) -> AsyncIterator[Take]:
    """Who settles: a crew, whose end ends this process too, or this process itself."""
    if not settings.ingest_workers:
        yield _here(settings, database)
        return
    argv = (sys.executable, "-m", "mes.ingesting")
    async with crew.crew_of(settings.ingest_workers, argv, settings.model_dump(mode="json")) as hands:
        watching = tasks.create_task(hands.watch())
        try:
            yield hands.take
        finally:
            watching.cancel()


def _here(settings: Settings, database: Database) -> Here:
    entrance = Entrance(among_processes=settings.ingest_workers > 1)
    _spare_the_collector()
    return consumer.here(
        lambda arrived, at: settle(database, arrived, at, entrance),
        source=_source(settings),
        message_max_bytes=settings.message_max_bytes,
    )


async def settle_shares(number: int) -> None:
    """One of a crew: settles what it is handed on the socket of that number, until the other side ends."""
    reader, writer, told = await crew.joining(number)
    settings = Settings(**told)
    services.begin_log(settings)
    database = await services.open_database(settings)
    try:
        await crew.work(reader, writer, _here(settings, database))
    finally:
        await database.close()


def _spare_the_collector() -> None:
    """Let garbage be looked for rarely, and never among what was there from the start.

    A batch makes tens of thousands of small objects and drops them all. By default each few hundred of them start a
    search, which took a quarter of the time of ingest.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_EVERY, 20, 50)


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
            if made.done:
                log.info("made partitions ahead: %s", ", ".join(made.done))
            if made.put_off:
                log.warning("partitions are not made ahead yet: %s", made.reasons)
            await asyncio.sleep(PUT_OFF_S if made.put_off else PARTITIONS_S)
        except Exception as error:
            log.warning("partitions could not be made ahead: %s", error)
            await asyncio.sleep(PUT_OFF_S)


if __name__ == "__main__":
    for number in ENDING_SIGNALS:  # a terminal's Ctrl-C is for the process that started us; we end when it lets go
        signal.signal(number, signal.SIG_IGN)
    asyncio.run(settle_shares(int(sys.argv[1])))
