"""What became of all that was said, counted in the record itself."""

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import msgspec

from tests.faults import plan
from tests.faults.sender import numbers_sent


class Record(NamedTuple):
    """What the database holds: how often each run is stored and journalled, and fates by message."""

    runs: Counter[str]
    journalled: Counter[str]
    fates: dict[str, str]
    rejected: set[str]
    finished_units: int
    entries: int


async def read(database_url: str) -> Record:
    """Everything that counts, read at once."""
    connection = await asyncpg.connect(database_url, ssl=False)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            bodies = await connection.fetch("SELECT body FROM journal WHERE type = 'mes.run.judged'")
            told = [msgspec.json.decode(row["body"])["data"]["fact"]["what"] for row in bodies]
            return Record(
                Counter(row["run"] for row in await connection.fetch("SELECT run FROM run")),
                Counter(one["run"] for one in told),
                dict(await connection.fetch("SELECT id, fate FROM inbox WHERE id LIKE 'm%'")),
                {row["id"] for row in await connection.fetch("SELECT id FROM message WHERE fate = 'rejected'")},
                await connection.fetchval("SELECT count(*) FROM unit WHERE state = 'completed'"),
                await connection.fetchval("SELECT count(*) FROM journal"),
            )
    finally:
        await connection.close()


async def progress(database_url: str) -> int:
    """How many messages have a fate by now; -1 while the database can't say."""
    try:
        connection = await asyncpg.connect(database_url, ssl=False, timeout=2)
    except (OSError, asyncpg.PostgresError, TimeoutError):
        return -1
    try:
        return int(
            await connection.fetchval(
                "SELECT (SELECT count(*) FROM inbox) + (SELECT count(*) FROM message WHERE fate = 'rejected')"
            )
        )
    finally:
        await connection.close()


def tally(record: Record, folder: Path, poisonous: int, waiting: set[int]) -> dict[str, Any]:
    """The figures of one case. `waiting` are the numbers that the station still holds for lack of a receipt."""
    sent = set(numbers_sent(folder)) | waiting
    names = {number: plan.run(number, poisonous)["run"] for number in sent}
    fates = {number: record.fates.get(f"m{number}") for number in sent}
    applied = {number for number in sent if record.runs[names[number]]}
    rejected = {number for number in sent if f"m{number}" in record.rejected}
    pending = {number for number in sent if fates[number] == "pending"}
    known = applied | rejected | pending
    return {
        "sent": len(sent),
        "applied": len(applied),
        "pending": len(pending),
        "rejected": len(rejected),
        "doubled": _too_many(record.runs) + _too_many(record.journalled),
        "half_applied": _half_applied(record, names, fates),
        "lost": len(sent - known - waiting),
        "spool": len(waiting),
        "distinct_units": len({plan.serial(number) for number in sent}),
        "journal_entries": record.entries,
    }


def _too_many(counted: Counter[str]) -> int:
    return sum(count - 1 for count in counted.values())


def _half_applied(record: Record, names: dict[int, str], fates: dict[int, str | None]) -> int:
    """Messages of which one trace is there and another is not: fate, run, journal entry, the unit's own state."""
    odd = set(record.runs) ^ set(record.journalled)
    odd |= {names[number] for number, fate in fates.items() if fate == "applied" and not record.runs[names[number]]}
    odd |= {names[number] for number, fate in fates.items() if fate is None and record.runs[names[number]]}
    done = Counter(plan.serial(number) for number, name in names.items() if record.runs[name])
    finished = sum(1 for count in done.values() if count == plan.STEPS)
    return len(odd) + abs(finished - record.finished_units)
