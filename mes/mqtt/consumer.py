"""The ingest loop: take a batch, settle it in one transaction, acknowledge after its commit, send receipts.

What becomes of a message is decided by the `settle` that is given. If that fails (the database is gone), nothing of
the batch is acknowledged: the connection is dropped and the broker delivers all of it again after a pause.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from time import perf_counter
from typing import Final, NamedTuple, Protocol, TypeAlias

from mes.formats.messages import MESSAGE_MAX_BYTES, Arrived, decode
from mes.mqtt import topics
from mes.mqtt.bridge import Bridge, Delivery
from mes.mqtt.receipts import Settled, write_receipts
from mes.mqtt.stops import write_stops

log = logging.getLogger(__name__)

RETRY_MIN_S: Final = 0.5
RETRY_MAX_S: Final = 30.0
STOP_S: Final = 10.0
IN_HAND_MAX: Final = 2
"""Most batches that are being settled at the same time."""

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
    """Ingests until it is cancelled; the batches in hand are finished then. `source` is who signs the receipts."""
    ingesting = Ingesting(bridge, settle, source, message_max_bytes, watch)
    try:
        while True:
            await ingesting.has_room()
            ingesting.take(await bridge.get_batch(batch_max_messages, linger_ms))
    except asyncio.CancelledError:
        await ingesting.finish(STOP_S)
        raise


class Ingesting:
    """The batches in hand: the next one is read and settled while the one before is being committed.

    They are given to `settle` in the order in which they came, and acknowledged in that order.
    """

    def __init__(
        self, bridge: Bridge, settle: Settle, source: str, message_max_bytes: int, watch: Watch | None
    ) -> None:
        self._bridge = bridge
        self._settle = settle
        self._source = source
        self._message_max_bytes = message_max_bytes
        self._watch = watch
        self._in_hand: deque[asyncio.Task[None]] = deque()
        self._pause_s = RETRY_MIN_S

    async def has_room(self) -> None:
        """Waits until another batch may be taken."""
        while len(self._in_hand) >= IN_HAND_MAX:
            await asyncio.wait([self._in_hand[0]])
            self._in_hand.popleft().result()

    def take(self, batch: Sequence[Delivery]) -> None:
        """Ingest a batch behind those that are in hand."""
        before = self._in_hand[-1] if self._in_hand else None
        self._in_hand.append(asyncio.create_task(self._ingest(batch, before)))

    async def finish(self, within_s: float) -> None:
        """Bring what is in hand to its end, in so many seconds; it comes again if that is not enough."""
        if self._in_hand:
            _, unfinished = await asyncio.wait(self._in_hand, timeout=within_s)
            for one in unfinished:
                one.cancel()

    async def _ingest(self, batch: Sequence[Delivery], before: "asyncio.Task[None] | None") -> None:
        at, began = datetime.now(UTC), perf_counter()
        arrived = read(batch, self._message_max_bytes)
        was_read = perf_counter()
        settled: Sequence[Settled] | None = ()
        try:
            settled = await self._settle(arrived, at) if arrived else ()
        except Exception:
            log.exception("a batch of %d messages was not settled; they will be delivered again", len(batch))
            settled = None
        was_settled = perf_counter()
        if before:
            await asyncio.wait([before])
        self._tell(batch, settled, at)
        if self._watch:
            stages = (was_read - began, was_settled - was_read, perf_counter() - was_settled)
            self._watch(BatchDone(at, arrived, settled, self._bridge.waiting, *stages))

    def _tell(self, batch: Sequence[Delivery], settled: Sequence[Settled] | None, at: datetime) -> None:
        """Acknowledge a batch and send its receipts; if it failed, let all come again that came with it."""
        if settled is not None:
            self._pause_s = RETRY_MIN_S
            self._bridge.ack(batch)
            publish_settled(self._bridge, settled, source=self._source, at=at)
        elif self._bridge.drop_delivering(batch, self._pause_s):
            self._pause_s = min(self._pause_s * 2, RETRY_MAX_S)


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


def publish_settled(bridge: Bridge, settled: Sequence[Settled], *, source: str, at: datetime) -> None:
    """Stops runs that have failed, and sends receipts, also the second ones of messages that were pending.

    All of it is on the record and acknowledged by now, so a fault in what is to be said ends nothing: it is logged, and
    a station that hears nothing of its message says it again and is told then.
    """
    for write in (write_stops, write_receipts):
        try:
            for said in write(settled, source, at):
                if not bridge.publish(said.topic, said.payload):
                    log.warning("too many messages wait for the broker; one on %s is left out", said.topic)
        except Exception:
            log.exception("not all was told that became of %d messages", len(settled))


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
