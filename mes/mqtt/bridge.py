"""What a broker sends to one client id, as batches that are acknowledged when the caller says so.

What arrives waits in a bounded queue; when that is full the socket is not read until it drains, so that the broker
holds the rest. A delivery belongs to the connection it came over: when that ends, the queue is emptied and late
acknowledgements are dropped, for the broker delivers all of it again.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Final, NamedTuple, Self

from paho.mqtt.enums import MQTTProtocolVersion

from mes.mqtt.packets import Published
from mes.mqtt.session import NEWEST_FIRST, Session

QUEUE_MAX_BYTES: Final = 64 * 1024 * 1024
BATCH_MAX_BYTES: Final = 16 * 1024 * 1024


class Delivery(NamedTuple):
    """One message as it came. `connection` counts connections: an acknowledgement is good for its own only."""

    topic: str
    payload: bytes
    retained: bool
    duplicate: bool
    qos: int
    mid: int
    connection: int
    properties: Mapping[str, str] | None = None
    content_type: str | None = None
    response_topic: str | None = None
    correlation: bytes | None = None


class Bridge:
    """A broker's messages for one client id; use it with `async with`.

    It keeps its connection up by itself and tries MQTT 5 first, whose user properties carry CloudEvents in binary
    mode, then MQTT 3.1.1.
    """

    def __init__(
        self,
        url: str,
        client_id: str,
        subscriptions: Sequence[str] = (),
        *,
        queue_max_messages: int = 5000,
        queue_max_bytes: int = QUEUE_MAX_BYTES,
        protocols: Sequence[MQTTProtocolVersion] = NEWEST_FIRST,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._session = Session(
            url, client_id, subscriptions, self._take, self._forget, protocols=protocols, ssl_context=ssl_context
        )
        self._queue_max_messages = queue_max_messages
        self._queue_max_bytes = queue_max_bytes
        self._queue: deque[Delivery] = deque()
        self._queued_bytes = 0
        self._arrived = asyncio.Event()
        self.queued_peak_messages = 0

    async def __aenter__(self) -> Self:
        self._session.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    @property
    def protocol(self) -> MQTTProtocolVersion:
        """The version of MQTT that is spoken, or tried next."""
        return self._session.protocol

    @property
    def is_up(self) -> bool:
        """Whether the broker has welcomed us and knows what we listen to."""
        return self._session.is_up

    @property
    def waiting(self) -> int:
        """Messages that arrived and were not taken yet."""
        return len(self._queue)

    async def connected(self) -> None:
        """Waits until it is up."""
        await self._session.connected()

    async def get_batch(self, max_messages: int, linger_ms: float = 0.0) -> list[Delivery]:
        """At least one and at most `max_messages` deliveries in the order they came.

        Waits for the first one, then up to `linger_ms` for the batch to fill.
        """
        while not self._queue:  # again if the connection, and so the queue, was lost while lingering
            await self._arrival()
            if linger_ms > 0 and len(self._queue) < max_messages:
                await self._linger(max_messages, linger_ms / 1000)
        batch: list[Delivery] = []
        size = 0
        while self._queue and len(batch) < max_messages and size < BATCH_MAX_BYTES:
            batch.append(self._queue.popleft())
            size += len(batch[-1].payload)
        self._queued_bytes -= size
        self._read_on()
        return batch

    def ack(self, deliveries: Iterable[Delivery]) -> None:
        """Acknowledges deliveries in order; those of an earlier connection are skipped, for they come again."""
        connection = self._session.connection
        self._session.ack([one.mid for one in deliveries if one.connection == connection and one.qos])

    def publish(
        self, topic: str, payload: bytes, qos: int = 1, retain: bool = False, correlation: bytes | None = None
    ) -> bool:
        """Hands a message over for sending, now or when the broker is back. False when too many wait already."""
        return self._session.publish(topic, payload, qos, retain, correlation)

    def drop_delivering(self, deliveries: Sequence[Delivery], pause_s: float) -> bool:
        """Ends the connection that these came over, unless it has ended; whether it was there to be ended."""
        is_here = any(one.connection == self._session.connection for one in deliveries)
        if is_here:
            self.drop(pause_s)
        return is_here

    def drop(self, pause_s: float = 0.0) -> None:
        """Ends the connection with all that is unacknowledged, to come back after `pause_s` seconds."""
        self._session.drop(pause_s)

    def _take(self, message: Published) -> None:
        topic, payload, retained, duplicate, qos, mid, extras = message
        connection = self._session.connection
        self._queue.append(Delivery(topic, payload, retained, duplicate, qos, mid, connection, *extras))
        self._queued_bytes += len(payload)
        self.queued_peak_messages = max(self.queued_peak_messages, len(self._queue))
        if self._is_full:
            self._session.pause()
        self._arrived.set()

    def _forget(self) -> None:
        """After a connection: what it delivered will be delivered again."""
        self._queue.clear()
        self._queued_bytes = 0

    @property
    def _is_full(self) -> bool:
        return len(self._queue) >= self._queue_max_messages or self._queued_bytes >= self._queue_max_bytes

    def _read_on(self) -> None:
        half_empty = len(self._queue) * 2 <= self._queue_max_messages
        if self._session.paused and half_empty and self._queued_bytes * 2 <= self._queue_max_bytes:
            self._session.resume()

    async def _arrival(self) -> None:
        self._arrived.clear()
        await self._arrived.wait()

    async def _linger(self, wanted: int, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while len(self._queue) < wanted and not self._session.paused:
                    await self._arrival()
