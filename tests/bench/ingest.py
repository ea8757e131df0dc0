"""Facts into the record: messages a second of `mes ingest` beside those of its rivals, in interleaved pairs.

A message is one run with 20 measurements. Ours settles in WORKERS processes beside the one that reads. For ours the
broker's queue is filled first, then the process starts; the clock runs from its welcome by the broker to the receipt
of the last message. Nothing of it is left out: gate, rules, unit state, journal, receipts. `live` is the same with
the publisher at work on the same cores; `again` sends what was applied once more; `traced` is the first again, with
spans sent to a receiver.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from statistics import median
from subprocess import PIPE
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import msgspec
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests.bench import floor, rivals
from tests.bench.floor import Said
from tests.bench.parts import Parts, conditions, query, running
from tests.bench.publisher import packets, publish
from tests.feeds.receiver import receiving

PATIENCE_S: Final = 300


class Size(NamedTuple):
    """How much is measured: pairs, units in each, messages for the slow rivals."""

    pairs: int
    units: int
    few: int


WORKERS: Final = 2
FULL: Final = Size(5, 8000, 600)
SHORT: Final = Size(1, 60, 20)


@dataclass
class Receipts:
    """What stations are told: how many messages were settled, with which fates, and when the last one was."""

    fates: dict[str, int] = field(default_factory=dict)
    last_at: float = 0.0

    def take(self, _client: Any, _userdata: Any, message: paho.MQTTMessage) -> None:
        self.last_at = time.time()
        for one in msgspec.json.decode(message.payload)["data"]["settled"]:
            self.fates[one["fate"]] = self.fates.get(one["fate"], 0) + 1

    async def all(self, messages: int) -> None:
        """Wait until that many messages have a receipt."""
        async with asyncio.timeout(PATIENCE_S):
            while sum(self.fates.values()) < messages:  # noqa: ASYNC110 - they come in a thread of paho's
                await asyncio.sleep(0.01)


@asynccontextmanager
async def receipts(broker_url: str) -> AsyncIterator[Receipts]:
    """A listener on every station's receipts."""
    found = Receipts()
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.on_message = found.take
    client.connect("127.0.0.1", port(broker_url))
    client.subscribe("mes/v1/+/receipts", qos=1)
    client.loop_start()
    try:
        yield found
    finally:
        client.disconnect()
        client.loop_stop()


def port(url: str) -> int:
    """The port of an address."""
    return urlsplit(url).port or 0


class Rate(NamedTuple):
    """How fast messages were settled, and what it cost the process, in seconds of processor time and MiB."""

    per_s: float
    cpu_us: float
    peak_mib: float
    fates: dict[str, int]


async def preloaded(parts: Parts, database_url: str, made: Sequence[bytes], **environment: str) -> Rate:
    """The rate from a full queue."""
    await asyncio.to_thread(publish, port(parts.broker.url), made)
    async with (
        receipts(parts.broker.url) as told,
        parts.process("ingest", database_url, MES_INGEST_WORKERS=str(WORKERS), **environment) as ingest,
    ):
        await told.all(len(made))
        return Rate(
            len(made) / (told.last_at - ingest.up_at), ingest.cpu_s / len(made) * 1e6, ingest.peak_mib, told.fates
        )


async def live(parts: Parts, database_url: str, units: int, messages: int) -> Rate:
    """The rate while a publisher on the same machine sends as fast as the broker takes it."""
    argv = ("-m", "tests.bench.publisher", str(port(parts.broker.url)), str(units))
    async with (
        receipts(parts.broker.url) as told,
        parts.process("ingest", database_url, MES_INGEST_WORKERS=str(WORKERS)) as ingest,
    ):
        publisher = await asyncio.create_subprocess_exec(sys.executable, *argv, stdin=PIPE, stdout=PIPE)
        assert publisher.stdout is not None
        await publisher.stdout.readline()
        begun = time.time()
        await publisher.communicate(b"go\n")
        await told.all(messages)
        return Rate(messages / (told.last_at - begun), ingest.cpu_s / messages * 1e6, ingest.peak_mib, told.fates)


async def rival(parts: Parts, name: str, database_url: str, some: Sequence[bytes]) -> float:
    """The rate of a hand-written program from its full queue."""
    await rivals.make_tables(database_url)
    broker_url = parts.rivals_broker.url
    rivals.open_session(broker_url)
    await asyncio.to_thread(publish, port(broker_url), some)
    return await rivals.rate(name, database_url, broker_url, len(some))


async def raw_rate(parts: Parts, raw: rivals.Raw, database_url: str) -> float:
    """The rate of `psql \\copy`."""
    await rivals.make_tables(database_url)
    await parts.execute("CHECKPOINT")
    return await asyncio.to_thread(raw.per_s, database_url)


async def one_pair(parts: Parts, size: Size, raw: rivals.Raw, made: Sequence[bytes]) -> dict[str, float]:
    """Everything once, side by side."""
    mapped = parts.postgres.url
    figures = {"raw_copy_per_s": await raw_rate(parts, raw, mapped)}
    ours = await parts.fresh_database()
    first = await preloaded(parts, ours, made)
    assert first.fates == {"applied": len(made)}, first.fates
    figures |= {"ingest_per_s": first.per_s, "cpu_us": first.cpu_us, "peak_mib": first.peak_mib}
    figures["journal_entries"] = await query(ours, "SELECT count(*) FROM journal")
    again = await preloaded(parts, ours, made)
    assert again.fates == {"duplicate": len(made)}, again.fates
    figures["again_per_s"] = again.per_s
    await parts.drop(ours)
    other = await parts.fresh_database()
    figures["live_per_s"] = (await live(parts, other, size.units, len(made))).per_s
    await parts.drop(other)
    traced = await parts.fresh_database()
    with receiving() as receiver:
        figures["traced_per_s"] = (await preloaded(parts, traced, made, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)).per_s
        assert receiver.spans
    await parts.drop(traced)
    for name in ("script", "orm"):
        figures[f"{name}_per_s"] = await rival(parts, name, mapped, made[: size.few])
    return figures


def _summary(pairs: Sequence[dict[str, float]], said: Sequence[Said], size: Size) -> dict[str, Any]:
    """Medians; ratios are medians of each pair's own ratio, so that what slows the machine slows both sides of one."""
    figures: dict[str, Any] = {name: round(median(pair[name] for pair in pairs), 1) for name in pairs[0]}
    for ratio, over, under in (
        ("ratio_raw", "ingest_per_s", "raw_copy_per_s"),
        ("ratio_script", "ingest_per_s", "script_per_s"),
        ("ratio_orm", "ingest_per_s", "orm_per_s"),
        ("ratio_raw_live", "live_per_s", "raw_copy_per_s"),
        ("ratio_again", "again_per_s", "ingest_per_s"),
        ("ratio_traced", "traced_per_s", "ingest_per_s"),
    ):
        figures[ratio] = round(median(pair[over] / pair[under] for pair in pairs), 3)
    return figures | {
        "workers": WORKERS,
        "pairs": len(pairs),
        "messages": len(said),
        "measurements_each": floor.MEASUREMENTS,
        "distinct_units": size.units,
        "journal_entries": int(pairs[0]["journal_entries"]),
    }


async def run(*, short: bool = False, commit_delay_us: int = 0) -> dict[str, Any]:
    """Medians of interleaved pairs. `commit_delay_us` is what each commit takes longer, ours and theirs."""
    size = SHORT if short else FULL
    said = list(floor.runs(size.units))
    made = packets(said)
    async with running() as parts:
        await parts.delay_commits(commit_delay_us)
        await parts.floor(size.units)
        raw = rivals.Raw(parts.folder, said)
        async with parts.process("ingest", await parts.fresh_database()):
            pass  # from now on the broker keeps messages for it
        pairs = []
        for number in range(size.pairs):
            pairs.append(await one_pair(parts, size, raw, made))
            sys.stderr.write(f"pair {number + 1} of {size.pairs}: {pairs[-1]}\n")
        return _summary(pairs, said, size) | dict(await conditions(parts)) | {"broker": parts.broker.kind}
