"""A bridge that finds the message that ends processes: it would come back for ever.

What the broker delivers again to a new process, the one before may have died of. First it is tried as it comes. If
that process ends as well, what it had in hand is given out in small portions, and what a process ended with of those
one by one, each message of a batch by itself, too; a message that several processes had in hand alone, and none
survived, is rejected by its bytes. Once what was in hand has its fate, the rest is tried as it comes: two processes
that were killed for another reason, with a long queue behind them, cost a moment. Before the first message that is new
all of this is over: without a process that ended with work in its hands it costs nothing.
"""

import asyncio
import hashlib
import json
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import takewhile
from typing import Any, Final, Protocol

import msgspec

from mes.domain.refusals import reason
from mes.formats.messages import Unreadable
from mes.mqtt import topics
from mes.mqtt.bridge import Bridge, Delivery

log = logging.getLogger(__name__)

DEATHS_MAX: Final = 3
"""How many processes may end with a message alone in hand before it is rejected."""
PORTION: Final = 40
"""How many messages of those that a process ended with are tried together before they are tried one by one."""
RETRY_S: Final = 1.0
OF_A_BATCH: Final = 0
"""No packet has this identifier: a message of a batch that is not its last has nothing to acknowledge."""


class InHand(Protocol):
    """What a process had in hand: how many messages, the digest of one alone, how many had died of it before."""

    @property
    def messages(self) -> int: ...
    @property
    def digest(self) -> bytes | None: ...
    @property
    def deaths(self) -> int: ...


class Hand(Protocol):
    """Where a process notes what it has in hand, so that the next one knows."""

    async def left(self) -> InHand | None: ...
    async def note(self, messages: int, digest: bytes | None, deaths: int) -> None: ...
    async def forget(self) -> None: ...
    async def crashing(self) -> set[str]: ...


Reject = Callable[[Unreadable], Awaitable[None]]
"""Keeps the bytes of a message as rejected and tells its station; returns after the commit."""


class CautiousBridge(Bridge):
    """A bridge whose process may follow one that a message ended. Takes what `Bridge` takes."""

    def __init__(self, *arguments: Any, hand: Hand, reject: Reject, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._hand = hand
        self._reject = reject
        self._before: InHand | None = None
        self._crashing: set[str] | None = None
        self._is_over = False
        self._is_noted = False
        self._suspects: deque[Delivery] = deque()
        self._accused = 0
        self._rest: list[Delivery] = []
        self._settled = asyncio.Event()
        self._settled.set()

    async def get_batch(self, max_messages: int, linger_ms: float = 0.0) -> list[Delivery]:
        """As `Bridge.get_batch`; while there are suspects, waits until what it gave out before has its fate."""
        batch: list[Delivery] = []
        while not batch:
            if not self._is_over:
                batch = await self._cautiously(max_messages, linger_ms)
            else:
                batch = await super().get_batch(max_messages, linger_ms)
            if self._crashing:
                batch = [survivor for one in batch for survivor in await self._survivors(one)]
        return batch

    def ack(self, deliveries: Iterable[Delivery]) -> None:
        super().ack([one for one in deliveries if one.mid != OF_A_BATCH])
        self._settled.set()

    def drop_delivering(self, deliveries: Sequence[Delivery], pause_s: float) -> bool:
        self._settled.set()
        return super().drop_delivering(deliveries, pause_s)

    async def _cautiously(self, max_messages: int, linger_ms: float) -> list[Delivery]:
        """Some or one of the suspects; when there are none any more, what is new."""
        await self._settled.wait()
        if self._crashing is None:
            self._before = await _patiently(self._hand.left)
            self._accused = self._before.messages if self._before else 0
            self._crashing = await _patiently(self._hand.crashing)
        if not self._suspects and not self._rest:
            await self._forget_hand()
            batch = await super().get_batch(max_messages, linger_ms)
            self._suspects.extend(takewhile(lambda one: one.duplicate, batch))
            self._rest = batch[len(self._suspects) :]
        while self._suspects and not self._is_here(self._suspects[0]):
            self._suspects.popleft()
        if self._suspects:
            return await self._portion() if self._accused else await self._some()
        await self._forget_hand()
        self._is_over = True
        rest, self._rest = [one for one in self._rest if self._is_here(one)], []
        return rest

    async def _forget_hand(self) -> None:
        if self._is_noted or self._before is not None:
            await _patiently(self._hand.forget)
        self._is_noted = False

    async def _note(self, messages: int, digest: bytes | None, deaths: int) -> None:
        await _patiently(lambda: self._hand.note(messages, digest, deaths))
        self._is_noted = True
        self._settled.clear()

    def _is_here(self, one: Delivery) -> bool:
        """Whether a delivery came over the present connection; what came over another one comes again."""
        return one.connection == self._session.connection

    async def _some(self) -> list[Delivery]:
        """All suspects at once: most processes end for other reasons than a message."""
        some = list(self._suspects)
        self._suspects.clear()
        alone = _digest(some[0]) if len(some) == 1 else None
        await self._note(len(some), alone, 0)
        return some

    async def _portion(self) -> list[Delivery]:
        """The next of those that the process before had in hand: the broker delivers them first, in their order."""
        assert self._before is not None
        if self._before.messages <= PORTION:
            return await self._one(self._before)
        portion = [self._suspects.popleft() for _ in range(min(PORTION, self._accused, len(self._suspects)))]
        self._accused -= len(portion)
        await self._note(len(portion), None, 0)
        return portion

    async def _one(self, before: InHand) -> list[Delivery]:
        """The next suspect alone; rejected if it is the one."""
        one, *others = messages_of(self._suspects.popleft())
        self._suspects.extendleft(reversed(others))
        self._accused += len(others) - 1
        digest = _digest(one)
        deaths = before.deaths + 1 if before.digest == digest else 0
        if deaths >= DEATHS_MAX:
            assert self._crashing is not None
            self._crashing.add(digest.hex())
            return [one]
        await self._note(1, digest, deaths)
        return [one]

    async def _survivors(self, one: Delivery) -> list[Delivery]:
        """A delivery without the messages in it that end processes: those are rejected and done with."""
        crashing, messages = self._crashing or set(), messages_of(one)
        found = [_digest(message).hex() in crashing for message in messages]
        if not any(found):
            return [one]
        for message, is_crashing in zip(messages, found, strict=True):
            if is_crashing:
                await self._reject_one(message)
        survivors = [message for message, is_crashing in zip(messages, found, strict=True) if not is_crashing]
        if survivors:
            return [*survivors[:-1], survivors[-1]._replace(mid=one.mid)]
        self.ack([one])
        return []

    async def _reject_one(self, one: Delivery) -> None:
        address = topics.parse(one.topic)
        if address is None:
            return
        log.error("a message of %s ended %d processes and is rejected", address.station, DEATHS_MAX)
        text = f"{DEATHS_MAX} processes of the MES ended with this message alone in hand; it is kept, and not tried."
        why = reason("crashed_repeatedly", text, deliveries=DEATHS_MAX)
        source, id, type_ = _claims(one.payload)
        rejected = Unreadable(address.station, one.payload, _digest(one).hex(), source, id, type_, (why,))
        await _patiently(lambda: self._reject(rejected))


def messages_of(one: Delivery) -> list[Delivery]:
    """Each message of a batch as if it had come alone; the last of them carries the acknowledgement of all."""
    if not one.payload.lstrip().startswith(b"["):
        return [one]
    try:
        told = [bytes(message) for message in msgspec.json.decode(one.payload, type=list[msgspec.Raw])]
    except (msgspec.DecodeError, RecursionError):
        told = []
    if not told:
        return [one]
    return [*(one._replace(payload=message, mid=OF_A_BATCH) for message in told[:-1]), one._replace(payload=told[-1])]


def _claims(payload: bytes) -> tuple[str | None, str | None, str | None]:
    """Source, id and type of a message, as far as they can be made out without decoding it as one."""
    try:
        told = json.loads(payload)
    except (ValueError, RecursionError):
        told = None
    claims = told if isinstance(told, dict) else {}
    return _claim(claims.get("source")), _claim(claims.get("id")), _claim(claims.get("type"))


def _claim(value: Any) -> str | None:
    return value if isinstance(value, str) and value.isprintable() and 0 < len(value) <= 255 else None


def _digest(one: Delivery) -> bytes:
    return hashlib.sha256(one.payload).digest()


async def _patiently(act: Callable[[], Awaitable[Any]]) -> Any:
    """Do it, again and again while the database is away."""
    while True:
        try:
            return await act()
        except Exception as error:
            log.warning("the database is away; redelivered messages wait: %s", error)
            await asyncio.sleep(RETRY_S)
