"""The ingest loop: take a batch, settle it in one transaction, acknowledge after its commit, send receipts.

What becomes of a message is decided by what it is given to: this process (`here`) or several (`crew`). If that fails
(the database is gone), nothing of the batch is acknowledged: the connection is dropped and the broker delivers all of
it again after a pause.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from time import perf_counter
from typing import Final, NamedTuple, Protocol, TypeAlias

from mes.formats.messages import MESSAGE_MAX_BYTES, Arrived, Message, decode
from mes.mqtt import topics
from mes.mqtt.bridge import Bridge, Delivery
from mes.mqtt.receipts import Receipt, Settled, write_receipts
from mes.mqtt.stops import write_stops

log = logging.getLogger(__name__)

RETRY_MIN_S: Final = 0.5
RETRY_MAX_S: Final = 30.0
STOP_S: Final = 10.0
IN_HAND_MAX: Final = 2
"""Most batches that this process settles at the same time."""

Settle: TypeAlias = Callable[[Sequence[Arrived], datetime], Awaitable[Sequence[Settled]]]
"""Makes messages that arrived at a moment part of the record and says what became of each; returns after commit."""


class Sent(Protocol):
    """A delivery, as far as reading it needs it."""

    @property
    def topic(self) -> str: ...
    @property
    def payload(self) -> bytes: ...
    @property
    def properties(self) -> Mapping[str, str] | None: ...
    @property
    def content_type(self) -> str | None: ...


class Done(NamedTuple):
    """What came of deliveries that were settled: the receipts to send, and what is told of them to those who watch.

    `times_s` are the messages' own times (Unix), `traceparents` what stations sent of their traces. Stages in
    seconds: reading the bytes, settling until after the commit.
    """

    receipts: Sequence[Receipt]
    fates: Mapping[str, int]
    times_s: Sequence[float]
    traceparents: Sequence[str]
    read_s: float
    settle_s: float


Here: TypeAlias = Callable[[Sequence[Sent], datetime], Awaitable[Done | None]]
Take: TypeAlias = Callable[[Sequence[Delivery], datetime], Awaitable[Done | None]]
"""Settles deliveries that arrived at a moment, in the order in which it is called; None: they have to come again."""


class Retried(Protocol):
    """What came of trying some pending messages again: how many, those that are settled now, the last one's key."""

    @property
    def tried(self) -> int: ...
    @property
    def settled(self) -> Sequence[Settled]: ...
    @property
    def last(self) -> str | None: ...


class BatchDone(NamedTuple):
    """A batch that was ingested at a moment, for those who watch: how many deliveries, what came of them.

    `done` is None where it failed and comes again. `waiting` messages have arrived behind it. `tell_s` seconds went
    into acknowledging and sending the receipts.
    """

    at: datetime
    deliveries: int
    done: Done | None
    waiting: int
    tell_s: float


Watch: TypeAlias = Callable[[BatchDone], None]
"""Is told of each batch, after everyone else; it must not raise."""
Retry: TypeAlias = Callable[[datetime, str | None], Awaitable[Retried]]
"""Tries some pending messages again, those behind a key, or the first."""


def here(settle: Settle, *, source: str, message_max_bytes: int = MESSAGE_MAX_BYTES) -> Here:
    """Settles deliveries in this process. `source` is who signs the receipts."""

    async def take(batch: Sequence[Sent], at: datetime) -> Done | None:
        began = perf_counter()
        try:
            arrived = read(batch, message_max_bytes)
            was_read = perf_counter()
            settled = await settle(arrived, at) if arrived else ()
        except Exception:
            log.exception("a batch of %d messages was not settled; they will be delivered again", len(batch))
            return None
        settle_s = perf_counter() - was_read
        messages = [one for one in arrived if isinstance(one, Message)]
        return Done(
            written(settled, source, at),
            Counter([one.fate for one in settled]),
            [one.time.timestamp() for one in messages],
            [one.traceparent for one in messages if one.traceparent],
            was_read - began,
            settle_s,
        )

    return take


async def run(
    bridge: Bridge,
    take: Take,
    *,
    batch_max_messages: int = 1000,
    linger_ms: float = 5.0,
    in_hand_max: int = IN_HAND_MAX,
    watch: Watch | None = None,
) -> None:
    """Ingests until it is cancelled; the batches in hand are finished then.

    A fault of ours ends it with an ExceptionGroup, also while nothing more comes: what was in hand comes again.
    """
    async with asyncio.TaskGroup() as tasks:
        ingesting = Ingesting(bridge, take, in_hand_max, watch, tasks)
        try:
            while True:
                await ingesting.has_room()
                ingesting.take(await bridge.get_batch(batch_max_messages, linger_ms))
        except asyncio.CancelledError:
            await ingesting.finish(STOP_S)
            raise


class Ingesting:
    """The batches in hand: the next one is read and settled while the one before is being committed.

    They are given away in the order in which they came, and acknowledged in that order.
    """

    def __init__(
        self, bridge: Bridge, take: Take, in_hand_max: int, watch: Watch | None, tasks: asyncio.TaskGroup
    ) -> None:
        self._bridge = bridge
        self._take = take
        self._in_hand_max = in_hand_max
        self._watch = watch
        self._tasks = tasks
        self._in_hand: deque[asyncio.Task[None]] = deque()
        self._pause_s = RETRY_MIN_S

    async def has_room(self) -> None:
        """Waits until another batch may be taken."""
        while len(self._in_hand) >= self._in_hand_max:
            await asyncio.wait([self._in_hand[0]])
            self._in_hand.popleft()

    def take(self, batch: Sequence[Delivery]) -> None:
        """Ingest a batch behind those that are in hand."""
        before = self._in_hand[-1] if self._in_hand else None
        self._in_hand.append(self._tasks.create_task(self._ingest(batch, before)))

    async def finish(self, within_s: float) -> None:
        """Bring what is in hand to its end, in so many seconds; it comes again if that is not enough."""
        if self._in_hand:
            _, unfinished = await asyncio.wait(self._in_hand, timeout=within_s)
            for one in unfinished:
                one.cancel()

    async def _ingest(self, batch: Sequence[Delivery], before: "asyncio.Task[None] | None") -> None:
        at = datetime.now(UTC)
        done = await self._take(batch, at)
        if before:
            await asyncio.wait([before])
        began = perf_counter()
        self._tell(batch, done)
        if self._watch:
            self._watch(BatchDone(at, len(batch), done, self._bridge.waiting, perf_counter() - began))

    def _tell(self, batch: Sequence[Delivery], done: Done | None) -> None:
        """Acknowledge a batch and send its receipts; if it failed, let all come again that came with it."""
        if done is not None:
            self._pause_s = RETRY_MIN_S
            self._bridge.ack(batch)
            publish(self._bridge, done.receipts)
        elif self._bridge.drop_delivering(batch, self._pause_s):
            self._pause_s = min(self._pause_s * 2, RETRY_MAX_S)


async def retry_pending(bridge: Bridge, retry: Retry, *, source: str, every_s: float = 2.0) -> None:
    """Tries pending messages again, every so often until it is cancelled, and sends the second receipts."""
    while True:
        await asyncio.sleep(every_s)
        try:
            while await _retry_each(bridge, retry, source):  # what was settled may be what others waited for
                pass
        except Exception:
            log.exception("pending messages were not tried again; they will be")


async def _retry_each(bridge: Bridge, retry: Retry, source: str) -> bool:
    """Every pending message once; whether any is settled now."""
    some_settled, last = False, None
    while True:
        at = datetime.now(UTC)
        done = await retry(at, last)
        if not done.tried:
            return some_settled
        publish(bridge, written(done.settled, source, at))
        some_settled, last = some_settled or bool(done.settled), done.last


def written(settled: Sequence[Settled], source: str, at: datetime) -> list[Receipt]:
    """What stations are told after a commit: runs that have failed are to stop, and receipts.

    All of it is on the record by now, so a fault in what is to be said ends nothing: it is logged, and a station that
    hears nothing of its message says it again and is told then.
    """
    said: list[Receipt] = []
    for write in (write_stops, write_receipts):
        try:
            said.extend(write(settled, source, at))
        except Exception:
            log.exception("not all was told that became of %d messages", len(settled))
    return said


def publish(bridge: Bridge, receipts: Iterable[Receipt]) -> None:
    """Sends receipts, also the second ones of messages that were pending."""
    for receipt in receipts:
        if not bridge.publish(receipt.topic, receipt.payload):
            log.warning("too many messages wait for the broker; one on %s is left out", receipt.topic)


def read(batch: Sequence[Sent], message_max_bytes: int = MESSAGE_MAX_BYTES) -> list[Arrived]:
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
