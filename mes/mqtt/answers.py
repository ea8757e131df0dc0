"""Asks and their answers. Each is decided by itself, as soon as it comes: a line waits for it.

What is decided is up to the `decide` that is given. If that fails (the database is gone), nothing is answered: the
connection is dropped and the broker delivers the ask again; a station that has not waited so long has gone on or
stopped, as its step says.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final, NamedTuple, Protocol, TypeAlias

import uuid_utils

from mes.domain.refusals import Reason, reason
from mes.formats.messages import (
    MESSAGE_MAX_BYTES,
    Fate,
    Message,
    StepAnswered,
    Unreadable,
    decode,
    encode_event,
    wire_reasons,
)
from mes.mqtt import topics
from mes.mqtt.bridge import Bridge, Delivery
from mes.mqtt.receipts import write_receipts

log = logging.getLogger(__name__)

IN_HAND_MAX: Final = 1000
"""Most asks in hand; the broker keeps the others. Most of these only wait, for their turn or for other messages, so it
is more than a floor has stations: one that waits for a message that never comes holds up nobody else."""
RETRY_S: Final = 1.0


class Answer(Protocol):
    """The answer to the ask `asked` of a station; a `grant` lets the step start within `valid_s` seconds."""

    @property
    def station(self) -> str: ...
    @property
    def asked(self) -> str: ...
    @property
    def granted(self) -> bool: ...
    @property
    def grant(self) -> str | None: ...
    @property
    def valid_s(self) -> float | None: ...
    @property
    def reasons(self) -> tuple[Reason, ...]: ...


class Unasked(NamedTuple):
    """The fate of what came as an ask and is none."""

    station: str
    key: str
    keyed_by: str
    fate: Fate
    reasons: tuple[Reason, ...]


Decide: TypeAlias = Callable[[Message], Awaitable[Answer]]
"""Decides one ask and returns after the commit."""
IsInfrastructure: TypeAlias = Callable[[BaseException], bool]
"""Whether an error is the database's, so that the ask may be decided when that is back."""


class Answering:
    """Answers the asks that a bridge brings. `source` is who signs the answers."""

    def __init__(
        self,
        bridge: Bridge,
        decide: Decide,
        is_infrastructure: IsInfrastructure,
        *,
        source: str,
        message_max_bytes: int = MESSAGE_MAX_BYTES,
    ) -> None:
        self._bridge = bridge
        self._decide = decide
        self._is_infrastructure = is_infrastructure
        self._source = source
        self._message_max_bytes = message_max_bytes
        self._free = asyncio.Semaphore(IN_HAND_MAX)

    async def run(self) -> None:
        """Answers until it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._free.acquire()
                (delivery,) = await self._bridge.get_batch(1)
                tasks.create_task(self._take(delivery))

    async def _take(self, delivery: Delivery) -> None:
        """Answer what one delivery asks, and acknowledge it then."""
        try:
            await self._answer(delivery)
            self._bridge.ack([delivery])
        except Exception as error:
            if not self._is_infrastructure(error):
                # A fault of ours. Raised, it would end the process, and the next one, and no station were answered.
                log.exception("an ask on %s was left unanswered", delivery.topic)
                self._bridge.ack([delivery])
            elif self._bridge.drop_delivering([delivery], RETRY_S):  # else another one has, and said so
                log.warning("the database is away; asks wait: %s", error)
        finally:
            self._free.release()

    async def _answer(self, delivery: Delivery) -> None:
        address = topics.parse(delivery.topic)
        if address is None:
            return
        read = decode(
            address.station,
            address.kind,
            delivery.payload,
            properties=delivery.properties,
            content_type=delivery.content_type,
            max_bytes=self._message_max_bytes,
        )
        for one in read:
            if isinstance(one, Message):
                await self._answer_one(one, delivery)
            elif one.id:
                self._say(address.station, StepAnswered(one.id, False, reasons=wire_reasons(one.reasons)), delivery)
            else:
                self._refuse(address.station, one)

    async def _answer_one(self, asked: Message, delivery: Delivery) -> None:
        try:
            answer = await self._decide(asked)
            said = StepAnswered(
                answer.asked, answer.granted, answer.grant, answer.valid_s, wire_reasons(answer.reasons)
            )
        except Exception as error:
            if self._is_infrastructure(error):
                raise
            log.exception("an ask of %s could not be decided", asked.station)
            why = reason("not_applied", "The MES could not decide this; the fault is not the station's.")
            said = StepAnswered(asked.id, False, reasons=wire_reasons((why,)))
        self._say(asked.station, said, delivery)

    def _refuse(self, station: str, one: Unreadable) -> None:
        """Tell that an ask can't be read of which not even the id is known: by the digest of its bytes, as of facts."""
        log.warning("an ask of %s can't be read: %s", station, one.reasons[0].text)
        refused = Unasked(station, one.sha256, "sha256", "rejected", one.reasons)
        for receipt in write_receipts([refused], self._source, datetime.now(UTC)):
            self._bridge.publish(receipt.topic, receipt.payload)

    def _say(self, station: str, answer: StepAnswered, delivery: Delivery) -> None:
        payload = encode_event("mes.step.answered", self._source, str(uuid_utils.uuid7()), datetime.now(UTC), answer)
        self._bridge.publish(answer_topic(station, delivery.response_topic), payload, correlation=delivery.correlation)


def answer_topic(station: str, wanted: str | None) -> str:
    """Where an answer goes: where an MQTT 5 ask wants it, unless that is another station's topic or none."""
    own = topics.topic(station, topics.ANSWERS)
    if not wanted or wanted.startswith("$") or any(mark in wanted for mark in "+#\0"):
        return own
    if wanted.startswith(f"{topics.ROOT}/") and not wanted.startswith(f"{topics.ROOT}/{station}/"):
        return own
    return wanted
