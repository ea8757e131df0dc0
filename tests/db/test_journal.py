"""Entries are chained per subject, canonical to the byte, and can't be changed."""

import asyncio
import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import asyncpg
import pytest
import rfc8785
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from mes.db.journal import Event, Subject, append, moment
from mes.db.session import Database, driver
from tests.db.units import AT, add_unit


async def bodies(database: Database) -> list[str]:
    """Every entry's body, oldest id first."""
    async with database.reading() as connection:
        return list((await connection.execute(text("SELECT body FROM journal ORDER BY id"))).scalars())


async def make_units(database: Database, count: int) -> list[Subject]:
    async with database.transaction() as connection:
        return [Subject("unit", await add_unit(connection, f"SN-{n}"), f"SN-{n}") for n in range(count)]


def verify_chains(entries: list[str]) -> dict[str, tuple[int, str]]:
    """What an auditor does: each subject's numbers and hashes follow on; the head of each chain."""
    heads: dict[str, tuple[int, str | None]] = {}
    for body in entries:
        digest = hashlib.sha256(body.encode()).hexdigest()
        for link in json.loads(body)["data"]["subjects"]:
            number, previous = heads.get(link["id"], (0, None))
            assert (link["number"], link["previous"]) == (number + 1, previous)
            heads[link["id"]] = (number + 1, digest)
    return heads  # type: ignore[return-value]


async def test_chains_follow_on_and_their_heads_stand_on_the_subjects(database: Database) -> None:
    rack, tray = await make_units(database, 2)
    for turn in range(3):
        async with database.transaction() as connection:
            await append(
                connection,
                [
                    Event("mes.unit.identified", [tray], {"turn": turn}),
                    Event("mes.part.installed", [rack, tray], {"position": "U12"}),
                ],
                site="main",
                at=AT,
            )
    heads = verify_chains(await bodies(database))
    assert {subject: number for subject, (number, _) in heads.items()} == {rack.id: 3, tray.id: 6}
    async with database.reading() as connection:
        rows = await connection.execute(text("SELECT id::text, journal_number, journal_hash FROM unit"))
        stored = {row.id: (row.journal_number, row.journal_hash.hex()) for row in rows}
    assert stored == heads


async def test_subject_that_is_named_twice_is_linked_once(database: Database) -> None:
    """A scan that puts a unit into itself is recorded like any other."""
    (unit,) = await make_units(database, 1)
    for _ in range(2):
        async with database.transaction() as connection:
            await append(connection, [Event("mes.part.installed", [unit, unit])], site="main", at=AT)
    assert verify_chains(await bodies(database))[unit.id][0] == 2


async def test_leaving_an_entry_out_breaks_the_chain(database: Database) -> None:
    (unit,) = await make_units(database, 1)
    for turn in range(3):
        async with database.transaction() as connection:
            await append(connection, [Event("mes.unit.held", [unit], {"turn": turn})], site="main", at=AT)
    whole = await bodies(database)
    verify_chains(whole)
    with pytest.raises(AssertionError):
        verify_chains([whole[0], whole[2]])
    with pytest.raises(AssertionError):
        verify_chains([whole[0], whole[1].replace('"turn":1', '"turn":7'), whole[2]])


async def test_writers_of_one_subject_take_turns(database: Database) -> None:
    rack, *trays = await make_units(database, 5)

    async def installs(tray: Subject) -> None:
        for _ in range(10):
            async with database.transaction() as connection:
                await append(connection, [Event("mes.part.installed", [rack, tray])], site="main", at=AT)

    await asyncio.gather(*(installs(tray) for tray in trays))
    async with database.reading() as connection:
        rows = await connection.execute(
            text(
                "SELECT body FROM journal JOIN journal_subject ON entry_id = id "
                "WHERE subject_id = CAST(:id AS uuid) ORDER BY number"
            ),
            {"id": rack.id},
        )
        heads = verify_chains(list(rows.scalars()))
    assert heads[rack.id][0] == 40


async def test_body_is_canonical_json_to_the_byte(database: Database) -> None:
    (unit,) = await make_units(database, 1)
    values: list[Any] = [1.0, 1e21, 1e-7, 0.1 + 0.2, -0.0, 'ü€😀 \u2028 \\ " \n', None, True, {"z": 1, "😀": 2, "é": 3}]
    async with database.transaction() as connection:
        await append(connection, [Event("mes.run.judged", [unit], {"values": values})], site="main", at=AT)
    (body,) = await bodies(database)
    assert body.encode() == rfc8785.dumps(json.loads(body))


async def test_entry_is_a_cloudevent_about_its_first_subject(database: Database) -> None:
    rack, tray = await make_units(database, 2)
    async with database.transaction() as connection:
        (written,) = await append(connection, [Event("mes.part.installed", [rack, tray])], site="berlin", at=AT)
    entry = json.loads(written.body)
    assert entry["specversion"] == "1.0"
    assert entry["source"] == "mes/berlin"
    assert entry["type"] == "mes.part.installed"
    assert entry["subject"] == rack.name
    assert entry["time"] == "2026-11-22T10:00:00.000000Z"
    assert entry["id"] == written.id


def test_moments_are_written_in_utc() -> None:
    east = datetime(2026, 11, 22, 12, 0, 0, 5, tzinfo=timezone(timedelta(hours=2)))
    assert moment(east) == "2026-11-22T10:00:00.000005Z" == moment(east.astimezone(UTC))


@pytest.mark.parametrize("table", ["journal", "journal_position", "journal_subject"])
@pytest.mark.parametrize("change", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {}"])
async def test_journal_can_only_grow(database: Database, table: str, change: str) -> None:
    (unit,) = await make_units(database, 1)
    async with database.transaction() as connection:
        await append(connection, [Event("mes.unit.created", [unit])], site="main", at=AT)
    column = "id" if table == "journal" else "entry_id"
    with pytest.raises(DBAPIError, match="append-only"):
        async with database.transaction() as connection:
            await connection.execute(text(change.format(table, column, column)))


async def test_entries_are_rolled_back_with_their_transaction(database: Database) -> None:
    """COPY runs under SQLAlchemy, on the driver's connection: it has to be in the same transaction."""
    (unit,) = await make_units(database, 1)
    async with database.engine.connect() as connection:
        await append(connection, [Event("mes.unit.created", [unit])], site="main", at=AT)
        await connection.rollback()
    assert await bodies(database) == []


async def test_driver_is_in_the_transaction_even_before_any_statement(database: Database) -> None:
    async with database.engine.connect() as connection:
        raw = await driver(connection)
        assert isinstance(raw, asyncpg.Connection)
        assert raw.is_in_transaction()
