"""What comes again after a process ended with it in hand is given out with as much care as needed, and no more."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from mes.db.in_hand import InHand
from mes.embedded.broker import Broker
from mes.formats.messages import Unreadable
from mes.mqtt import topics
from mes.mqtt.bridge import Bridge
from mes.mqtt.cautious_bridge import DEATHS_MAX, PORTION, CautiousBridge
from tests.mqtt.floor import V311, publish
from tests.mqtt.test_bridge import ids, take

BATCH = 100
MESSAGES = 3 * BATCH
NAME = "mes-ingest-test-0"


@dataclass
class Noted:
    """A hand that keeps its notes here."""

    before: InHand | None
    notes: list[InHand] = field(default_factory=list)

    async def left(self) -> InHand | None:
        return self.before

    async def note(self, messages: int, digest: bytes | None, deaths: int) -> None:
        self.notes.append(InHand(messages, digest, deaths))

    async def forget(self) -> None:
        """Nothing to do: what was noted is looked at here."""

    async def crashing(self) -> set[str]:
        return set()


async def leave_in_hand(broker: Broker) -> None:
    """A process ends that the whole queue was delivered to."""
    async with Bridge(broker.url, NAME, topics.ingest_subscriptions(), protocols=V311) as ended:
        await ended.connected()
        sent = await publish(broker.url, map(str, range(MESSAGES)))
        assert ids(await take(ended, MESSAGES)) == sent


@asynccontextmanager
async def following(
    broker: Broker, hand: Noted, rejected: list[Unreadable] | None = None
) -> AsyncIterator[CautiousBridge]:
    """The bridge of a process that follows another, once all has come again."""

    async def reject(one: Unreadable) -> None:
        assert rejected is not None
        rejected.append(one)

    subscriptions = topics.ingest_subscriptions()
    async with CautiousBridge(broker.url, NAME, subscriptions, hand=hand, reject=reject, protocols=V311) as bridge:
        async with asyncio.timeout(20):
            while bridge.waiting < MESSAGES:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)
        yield bridge


async def given_out(bridge: CautiousBridge, messages: int = MESSAGES) -> list[list[str]]:
    """How so many messages are given out, each batch settled before the next one is asked for."""
    batches: list[list[str]] = []
    async with asyncio.timeout(20):
        while sum(map(len, batches)) < messages:
            batch = await bridge.get_batch(BATCH)
            batches.append(ids(batch))
            bridge.ack(batch)
    return batches


def sizes(batches: list[list[str]]) -> list[int]:
    return [len(batch) for batch in batches]


async def test_at_first_it_is_tried_as_it_comes(mosquitto: Broker) -> None:
    await leave_in_hand(mosquitto)
    hand = Noted(None)
    async with following(mosquitto, hand) as bridge:
        assert sizes(await given_out(bridge)) == [BATCH] * 3
    assert [one.messages for one in hand.notes] == [BATCH] * 3


async def test_what_a_second_process_ended_with_comes_in_portions_and_the_rest_as_it_comes(mosquitto: Broker) -> None:
    await leave_in_hand(mosquitto)
    async with following(mosquitto, Noted(InHand(BATCH, None, 0))) as bridge:
        batches = await given_out(bridge)
    assert sizes(batches) == [PORTION, PORTION, BATCH - 2 * PORTION, BATCH, BATCH]
    assert [number for batch in batches for number in batch] == [str(number) for number in range(MESSAGES)]


async def test_what_a_third_one_ended_with_comes_one_by_one_and_the_rest_as_it_comes(mosquitto: Broker) -> None:
    await leave_in_hand(mosquitto)
    hand = Noted(InHand(PORTION, None, 0))
    async with following(mosquitto, hand) as bridge:
        assert sizes(await given_out(bridge)) == [1] * PORTION + [BATCH - PORTION, BATCH, BATCH]
    assert all(one.digest for one in hand.notes[:PORTION])


async def test_what_processes_ended_with_alone_is_rejected_and_the_rest_comes_as_it_comes(mosquitto: Broker) -> None:
    await leave_in_hand(mosquitto)
    before, rejected = InHand(1, None, 0), list[Unreadable]()
    for deaths in range(DEATHS_MAX):
        hand = Noted(before)
        async with following(mosquitto, hand, rejected) as bridge:
            assert ids(await bridge.get_batch(BATCH)) == ["0"]  # and it ends
        (before,) = hand.notes
        assert before.deaths == deaths
    assert not rejected
    async with following(mosquitto, Noted(before), rejected) as bridge:
        assert sizes(await given_out(bridge, MESSAGES - 1)) == [BATCH - 1, BATCH, BATCH]
    assert [(one.id, one.reasons[0].code) for one in rejected] == [("0", "crashed_repeatedly")]
