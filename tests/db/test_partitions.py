"""Runs and chunks go to the month of their id; what no month foresees goes to the default partition."""

from datetime import UTC, datetime, timedelta

import pytest
import uuid_utils
from sqlalchemy import text

from mes.db.partitions import PARTITIONED, first_id, make_partitions
from mes.db.session import Database

LATER = datetime(2031, 11, 30, 23, 59, tzinfo=UTC)


def id_of(at: datetime) -> str:
    """A UUIDv7 made at a moment, random but for its time."""
    return first_id(at)[:14] + str(uuid_utils.uuid7())[14:]


async def partition_of_run(database: Database, run: str) -> str:
    """Store the least run that the table takes; the partition that it lands in."""
    required = await required_columns(database)
    names = ", ".join(required)
    values = ", ".join(":id" if name == "id" else kind for name, kind in required.items())
    async with database.transaction() as connection:
        stored = await connection.execute(
            text(f"INSERT INTO run ({names}) VALUES ({values}) RETURNING tableoid::regclass::text"), {"id": run}
        )
        return str(stored.scalar_one())


async def required_columns(database: Database) -> dict[str, str]:
    """Columns of run without a default, each with a value of its type."""
    samples = {"uuid": "gen_random_uuid()", "text": "'x'", "timestamp with time zone": "now()", "ARRAY": "'{}'"}
    async with database.reading() as connection:
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
        assert await make_partitions(connection, LATER, months_ahead=2) == []
    assert made == [f"{table}_{month}" for month in ("2031_11", "2031_12", "2032_01") for table in PARTITIONED]


async def test_run_goes_to_the_month_of_its_id(database: Database) -> None:
    async with database.transaction() as connection:
        await make_partitions(connection, LATER, months_ahead=1)
    assert await partition_of_run(database, id_of(LATER)) == "run_2031_11"
    assert await partition_of_run(database, first_id(datetime(2031, 12, 1, tzinfo=UTC))) == "run_2031_12"


@pytest.mark.parametrize("year", [1990, 2199])
async def test_what_no_month_foresees_goes_to_the_default_partition(database: Database, year: int) -> None:
    assert await partition_of_run(database, id_of(datetime(year, 1, 1, tzinfo=UTC))) == "run_default"


async def test_month_whose_rows_are_in_the_default_partition_is_refused_loudly(database: Database) -> None:
    """Rows in the default partition are an alarm: they have to be moved before their month can be made."""
    await partition_of_run(database, id_of(LATER))
    with pytest.raises(Exception, match="would be violated"):
        async with database.transaction() as connection:
            await make_partitions(connection, LATER)
