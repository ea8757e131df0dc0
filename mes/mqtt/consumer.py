"""The ingest loop: take a batch, settle it in one transaction, acknowledge after its commit, send receipts.

What becomes of a message is decided by the `settle` that is given. If that fails (the database is gone), nothing of
the batch is acknowledged: the connection is dropped and the broker delivers all of it again after a pause.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from time import perf_counter
from typing import Final, NamedTuple, Protocol, TypeAlias

from mes.formats.messages import MESSAGE_MAX_BYTES, Arrived, decode
from mes.mqtt import topics
from mes.mqtt.bridge import Bridge, Delivery
from mes.mqtt.receipts import Settled, write_receipts

log = logging.getLogger(__name__)

RETRY_MIN_S: Final = 0.5
RETRY_MAX_S: Final = 30.0
STOP_S: Final = 10.0

Settle: TypeAlias = Callable[[Sequence[Arrived], datetime], Awaitable[Sequence[Settled]]]
"""Makes messages that arrived at a moment part of the record and says what became of each; returns after commit."""


class Retried(Protocol):
    """What came of trying some pending messages again: how many, and those that are settled now."""

    @property
    def tried(self) -> int: ...
    @property
    def settled(self) -> Sequence[Settled]: ...


class BatchDone(NamedTuple):
    """A batch that was ingested at a moment, for those who watch: its messages, and their fates in the same order.

    `settled` is None where it failed and comes again. `waiting` messages have arrived behind it. Stages in seconds:
    reading the bytes, settling until after the commit, acknowledging and sending the receipts.
    """

    at: datetime
    arrived: Sequence[Arrived]
    settled: Sequence[Settled] | None
    waiting: int
    read_s: float
    settle_s: float
    tell_s: float


Watch: TypeAlias = Callable[[BatchDone], None]
"""Is told of each batch, after everyone else; it must not raise."""
Retry: TypeAlias = Callable[[datetime], Awaitable[Retried]]


async def run(
    bridge: Bridge,
    settle: Settle,
    *,
    source: str,
    batch_max_messages: int = 1000,
    linger_ms: float = 5.0,
    message_max_bytes: int = MESSAGE_MAX_BYTES,
    watch: Watch | None = None,
) -> None:
    """Ingests until it is cancelled; the batch in hand is finished then. `source` is who signs the receipts."""
    pause_s = RETRY_MIN_S
    while True:
        batch = await bridge.get_batch(batch_max_messages, linger_ms)
        if await _finish(_ingest(bridge, settle, batch, source, message_max_bytes, watch)):
            pause_s = RETRY_MIN_S
        else:
            bridge.drop(pause_s)
            pause_s = min(pause_s * 2, RETRY_MAX_S)


async def retry_pending(bridge: Bridge, retry: Retry, *, source: str, every_s: float = 2.0) -> None:
    """Tries pending messages again, every so often until it is cancelled, and sends the second receipts."""
    while True:
        await asyncio.sleep(every_s)
        try:
            some_settled = True
            while some_settled:  # not "some tried": what still has to wait would be tried without a pause
                at = datetime.now(UTC)
                done = await retry(at)
                some_settled = bool(done.settled)
                publish_settled(bridge, done.settled, source=source, at=at)
        except Exception:
            log.exception("pending messages were not tried again; they will be")


def publish_settled(bridge: Bridge, settled: Iterable[Settled], *, source: str, at: datetime) -> None:
    """Sends receipts: also the second one of messages that were pending and are settled now."""
    for receipt in write_receipts(settled, source, at):
        if not bridge.publish(receipt.topic, receipt.payload):
            log.warning("too many messages wait for the broker; a receipt on %s is left out", receipt.topic)


def read(batch: Sequence[Delivery], message_max_bytes: int = MESSAGE_MAX_BYTES) -> list[Arrived]:
    """The messages in a batch, in order. What came on a topic that names no station is logged and left out."""
    arrived: list[Arrived] = []
    for one in batch:
        address = topics.parse(one.topic)
        if address is None:
            log.warning("a message on the topic %.200r is left out: it names no station", one.topic)
            continue
        arrived += decode(
            address.station,
            address.kind,
            one.payload,
            properties=one.properties,
            content_type=one.content_type,
            max_bytes=message_max_bytes,
        )
    return arrived


async def _ingest(
    bridge: Bridge,
    settle: Settle,
    batch: Sequence[Delivery],
    source: str,
    message_max_bytes: int,
    watch: Watch | None,
) -> bool:
    """Whether the batch was settled, and so acknowledged."""
    at, began = datetime.now(UTC), perf_counter()
    arrived = read(batch, message_max_bytes)
    was_read = perf_counter()
    settled: Sequence[Settled] | None = ()
    try:
        settled = await settle(arrived, at) if arrived else ()
    except Exception:
        log.exception("a batch of %d messages was not settled; they will be delivered again", len(batch))
        settled = None
    was_settled = perf_counter()
    if settled is not None:
        bridge.ack(batch)
        publish_settled(bridge, settled, source=source, at=at)
    if watch:
        stages = (was_read - began, was_settled - was_read, perf_counter() - was_settled)
        watch(BatchDone(at, arrived, settled, bridge.waiting, *stages))
    return settled is not None


async def _finish(work: Awaitable[bool]) -> bool:
    """Does the work to its end, also when cancelled meanwhile: then for at most `STOP_S` seconds."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        with suppress(TimeoutError):
            await asyncio.wait_for(task, STOP_S)
        raise
