"""Runs and chunks go to the month of their id; what no month foresees goes to the default partition."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any
from unittest.mock import AsyncMock

import pytest
import uuid_utils
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db import partitions
from mes.db.partitions import PARTITIONED, Outcome, drop_partitions, first_id, make_partitions
from mes.db.session import Database

LATER = datetime(2031, 11, 30, 23, 59, tzinfo=UTC)
ONCE = datetime(2001, 11, 3, tzinfo=UTC)
"""Before every other month that is there."""


def id_of(at: datetime) -> str:
    """A UUIDv7 made at a moment, random but for its time."""
    return first_id(at)[:14] + str(uuid_utils.uuid7())[14:]


async def partition_of_run(database: Database, run: str) -> str:
    """Store the least run that the table takes; the partition that it lands in."""
    async with database.transaction() as connection:
        return await store_run(connection, run)


async def store_run(connection: AsyncConnection, run: str) -> str:
    """The same within a transaction."""
    required = await required_columns(connection)
    names = ", ".join(required)
    values = ", ".join(":id" if name == "id" else kind for name, kind in required.items())
    stored = await connection.execute(
        text(f"INSERT INTO run ({names}) VALUES ({values}) RETURNING tableoid::regclass::text"), {"id": run}
    )
    return str(stored.scalar_one())


async def required_columns(connection: AsyncConnection) -> dict[str, str]:
    """Columns of run without a default, each with a value of its type."""
    samples = {"uuid": "gen_random_uuid()", "text": "'x'", "timestamp with time zone": "now()", "ARRAY": "'{}'"}
    rows = await connection.execute(
        text(
            "SELECT column_name, data_type FROM information_schema.columns "
            "WHERE table_name = 'run' AND is_nullable = 'NO' AND column_default IS NULL"
        )
    )
    return {row.column_name: samples.get(row.data_type, "'0'") for row in rows}


def test_first_id_is_the_smallest_of_its_moment() -> None:
    before = datetime.now(UTC)
    made = str(uuid_utils.uuid7())
    assert first_id(before) <= made < first_id(before + timedelta(seconds=5))
    assert first_id(before - timedelta(milliseconds=2)) < first_id(before)


async def test_months_ahead_are_made_once(database: Database) -> None:
    async with database.transaction() as connection:
        made = await make_partitions(connection, LATER, months_ahead=2)
        assert await make_partitions(connection, LATER, months_ahead=2) == ([], {})
    assert made == ([f"{table}_{month}" for table in PARTITIONED for month in ("2031_11", "2031_12", "2032_01")], {})


async def test_run_goes_to_the_month_of_its_id(database: Database) -> None:
    async with database.transaction() as connection:
        await make_partitions(connection, LATER, months_ahead=1)
    assert await partition_of_run(database, id_of(LATER)) == "run_2031_11"
    assert await partition_of_run(database, first_id(datetime(2031, 12, 1, tzinfo=UTC))) == "run_2031_12"


@pytest.mark.parametrize("year", [1990, 2199])
async def test_what_no_month_foresees_goes_to_the_default_partition(database: Database, year: int) -> None:
    assert await partition_of_run(database, id_of(datetime(year, 1, 1, tzinfo=UTC))) == "run_default"


async def test_month_whose_rows_are_in_the_default_partition_is_put_off_alone(database: Database) -> None:
    """Rows in the default partition are an alarm: they have to be moved before their month can be made."""
    await partition_of_run(database, id_of(datetime(2031, 12, 15, tzinfo=UTC)))
    async with database.transaction() as connection:
        made = await make_partitions(connection, LATER, months_ahead=2)
    assert made.put_off == {"run_2031_12": "rows of it are in run_default"}
    assert made.reasons == "run_2031_12 (rows of it are in run_default)"
    assert made.done == [
        *("run_2031_11", "run_2032_01"),
        *("sample_chunk_2031_11", "sample_chunk_2031_12", "sample_chunk_2032_01"),
    ]
    assert await partition_of_run(database, first_id(datetime(2032, 1, 1, tzinfo=UTC))) == "run_2032_01"


async def test_row_that_strays_just_before_its_month_is_made_stops_no_other_month(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody keeps rows out of the default partition until it is locked."""
    await partition_of_run(database, id_of(LATER))
    monkeypatch.setattr(partitions, "_has_strayed", AsyncMock(return_value=False))
    async with database.transaction() as connection:
        made = await make_partitions(connection, LATER, months_ahead=1)
    assert list(made.put_off) == ["run_2031_11"]
    assert "would be violated" in made.reasons
    assert made.done == ["run_2031_12", "sample_chunk_2031_11", "sample_chunk_2031_12"]


async def test_month_is_made_like_one_that_is_a_partition_from_the_start(database: Database) -> None:
    """With every column, default, check and index; PostgreSQL names them by the same rules."""
    async with database.transaction() as connection:
        await make_partitions(connection, LATER, months_ahead=0)
        for table in PARTITIONED:
            span = f"FROM ('{first_id(LATER.replace(year=2040))}') TO ('{first_id(LATER.replace(year=2041))}')"
            await connection.execute(text(f"CREATE TABLE {table}_2040_11 PARTITION OF {table} FOR VALUES {span}"))
            made, whole = await shape(connection, f"{table}_2031_11"), await shape(connection, f"{table}_2040_11")
            assert made == [line.replace("2040", "2031") for line in whole]
            assert len(made) > 15


async def shape(connection: AsyncConnection, table: str) -> list[str]:
    """Columns, constraints other than bounds, and indexes of a table, a line each."""
    found = await connection.execute(
        text(
            """
            SELECT concat_ws(' ', attname, format_type(atttypid, atttypmod), attnotnull, attstorage, attcompression,
                             pg_get_expr(adbin, adrelid))
            FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
            WHERE attrelid = CAST(:table AS regclass) AND attnum > 0
            UNION ALL
            SELECT concat_ws(' ', conname, pg_get_constraintdef(oid), coninhcount, conislocal)
            FROM pg_constraint WHERE conrelid = CAST(:table AS regclass)
            UNION ALL
            SELECT concat_ws(' ', pg_get_indexdef(i.indexrelid), h.inhparent::regclass)
            FROM pg_index i JOIN pg_inherits h ON h.inhrelid = i.indexrelid
            WHERE i.indrelid = CAST(:table AS regclass)
            ORDER BY 1
            """
        ),
        {"table": table},
    )
    return list(found.scalars())


async def make(database: Database) -> Outcome:
    async with database.transaction() as connection:
        return await make_partitions(connection, ONCE, months_ahead=1)


async def drop(database: Database) -> Outcome:
    async with database.transaction() as connection:
        return await drop_partitions(connection, "run", datetime(2002, 1, 1, tzinfo=UTC))


async def test_months_are_made_while_somebody_uses_the_table(database: Database) -> None:
    """Only the default partition has to be free of others, and rows that have a month need it for nothing."""
    this_month = f"run_{datetime.now(UTC):%Y_%m}"
    async with database.transaction() as writer:
        assert await store_run(writer, str(uuid_utils.uuid7())) == this_month
        await writer.execute(text(f"SELECT FROM {this_month}"))
        assert (await make(database)).put_off == {}


@pytest.mark.parametrize("change", [make, drop])
async def test_what_somebody_reads_is_put_off_and_holds_nobody_up(
    database: Database, change: Callable[[Database], Coroutine[Any, Any, Outcome]]
) -> None:
    """Ingest would queue behind whoever waits for the reader."""
    if change is drop:
        await make(database)
    async with database.reading() as reader:
        await reader.execute(text("SELECT count(*) FROM run"))
        changing = asyncio.create_task(change(database))
        longest = 0.0
        while not changing.done():
            began = monotonic()
            await partition_of_run(database, str(uuid_utils.uuid7()))
            longest = max(longest, monotonic() - began)
        outcome = await changing
        assert {name: why for name, why in outcome.put_off.items() if name.startswith("run")} == {
            "run_2001_11": "in use by an open transaction",
            "run_2001_12": "its turn is after one that is in use",
        }
        assert [name for name in outcome.done if name.startswith("run")] == []
        assert longest < 2, "a writer waited for the reader"  # the reader would have had it wait for 10 s
    again = await change(database)
    assert ([name for name in again.done if name.startswith("run")], again.put_off) == (
        ["run_2001_11", "run_2001_12"],
        {},
    )


async def test_partition_that_is_busy_by_itself_is_not_waited_for(database: Database) -> None:
    """While it were, nobody could use any of the table. A vacuum, for one, takes only the partition."""
    await make(database)
    async with database.transaction() as vacuum:
        await vacuum.execute(text("LOCK TABLE ONLY run_2001_11 IN SHARE UPDATE EXCLUSIVE MODE"))
        assert list((await drop(database)).put_off) == ["run_2001_11", "run_2001_12"]
    assert (await drop(database)).done == ["run_2001_11", "run_2001_12"]


async def test_transaction_is_as_patient_afterwards_as_before(database: Database) -> None:
    async with database.transaction() as connection:
        before = (await connection.execute(text("SHOW lock_timeout"))).scalar_one()
        await make_partitions(connection, LATER)
        await drop_partitions(connection, "run", LATER)
        assert (await connection.execute(text("SHOW lock_timeout"))).scalar_one() == before == "10s"
