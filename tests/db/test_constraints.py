"""What must never happen is refused by PostgreSQL, by constraints with names."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db import tables
from mes.db.journal import new_id
from mes.db.session import Database
from tests.db.units import AT, add_installation, add_unit, hour, settle

RACK, OTHER_RACK = new_id(), new_id()


@pytest_asyncio.fixture
async def connection(database: Database) -> AsyncIterator[AsyncConnection]:
    """An open transaction that is never committed."""
    async with database.engine.connect() as opened:
        yield opened


async def test_part_is_in_one_place(connection: AsyncConnection) -> None:
    gpu = new_id()
    await add_installation(connection, RACK, "U1", 8, child_id=gpu)
    await add_installation(connection, OTHER_RACK, "U1", 9, child_id=gpu)
    with pytest.raises(IntegrityError, match="ex_installation_one_place"):
        await settle(connection)


async def test_position_holds_one_part(connection: AsyncConnection) -> None:
    await add_installation(connection, RACK, "U1", 8)
    await add_installation(connection, RACK, "U1", 9)
    with pytest.raises(IntegrityError, match="ex_installation_one_part"):
        await settle(connection)


async def test_closed_stays_may_not_overlap(connection: AsyncConnection) -> None:
    """A partial unique index over open rows would let this pass."""
    gpu = new_id()
    await add_installation(connection, RACK, "U1", 8, 10, child_id=gpu)
    await add_installation(connection, OTHER_RACK, "U1", 9, 11, child_id=gpu)
    with pytest.raises(IntegrityError, match="ex_installation_one_place"):
        await settle(connection)


async def test_stays_may_touch(connection: AsyncConnection) -> None:
    gpu = new_id()
    await add_installation(connection, RACK, "U1", 8, 10, child_id=gpu)
    await add_installation(connection, RACK, "U1", 10, 11)
    await add_installation(connection, OTHER_RACK, "U1", 10, child_id=gpu)
    await settle(connection)


async def test_superseded_belief_is_in_nobodys_way(connection: AsyncConnection) -> None:
    gpu = new_id()
    await add_installation(connection, RACK, "U1", 8, child_id=gpu, superseded_at=AT)
    await add_installation(connection, OTHER_RACK, "U1", 9, child_id=gpu)
    await settle(connection)


async def test_overlap_within_a_transaction_is_no_harm(connection: AsyncConnection) -> None:
    """The constraints are deferred: rows of one correction may come in any order."""
    gpu = new_id()
    wrong = await add_installation(connection, RACK, "U1", 8, child_id=gpu)
    await add_installation(connection, RACK, "U2", 8, child_id=gpu)
    await connection.execute(
        tables.installation.update().where(tables.installation.c.id == wrong).values(superseded_at=AT)
    )
    await settle(connection)


async def test_two_lots_in_one_position_are_normal(connection: AsyncConnection) -> None:
    screws = {"child_id": None, "quantity": 8}
    await add_installation(connection, RACK, "SCREWS", 8, lot_id=new_id(), **screws)
    await add_installation(connection, RACK, "SCREWS", 8, lot_id=new_id(), **screws)
    await settle(connection)


async def test_empty_stay_is_refused(connection: AsyncConnection) -> None:
    """An empty range has no bounds and would slip past the exclusion constraints."""
    with pytest.raises(IntegrityError, match="ck_installation_during_not_empty"):
        await add_installation(connection, RACK, "U1", 9, 9)


async def test_unit_is_not_in_itself(connection: AsyncConnection) -> None:
    with pytest.raises(IntegrityError, match="ck_installation_not_itself"):
        await add_installation(connection, RACK, "U1", 8, child_id=RACK)


@pytest.mark.parametrize("filled", [{"lot_id": new_id()}, {"loaded": [new_id()]}])
async def test_stay_is_of_a_child_or_of_a_lot(connection: AsyncConnection, filled: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError, match="ck_installation_child_or_lot"):
        await add_installation(connection, RACK, "U1", 8, **filled)


async def add_loading(connection: AsyncConnection, since: float, until: float | None = None, **columns: Any) -> None:
    row = {
        "id": new_id(),
        "station": "st-1",
        "place": "",
        "part": "M3",
        "lot_id": new_id(),
        "during": Range(hour(since), None if until is None else hour(until)),
        "recorded_at": AT,
        "loaded_key": f"{since}",
    }
    await connection.execute(tables.loading.insert(), row | columns)


async def test_a_place_holds_one_lot_at_a_time(connection: AsyncConnection) -> None:
    await add_loading(connection, 8, 10, place="F1")
    await add_loading(connection, 10, place="F1", part="PASTE")
    await add_loading(connection, 8, place="F2")
    await add_loading(connection, 9, 10, place="F1", part="PASTE")
    with pytest.raises(IntegrityError, match="ex_loading_one_lot_at_a_place"):
        await settle(connection)


async def test_a_station_has_one_unnamed_place_of_a_part(connection: AsyncConnection) -> None:
    await add_loading(connection, 8)
    await add_loading(connection, 8, part="PASTE")
    await add_loading(connection, 8, station="st-2")
    await add_loading(connection, 9)
    with pytest.raises(IntegrityError, match="ex_loading_one_lot_of_a_part"):
        await settle(connection)


async def add_identifier(connection: AsyncConnection, unit: str, since: float, until: float | None = None) -> None:
    await connection.execute(
        tables.identifier.insert(),
        {
            "id": new_id(),
            "unit_id": unit,
            "kind": "serial",
            "part": "TRAY",
            "value": "SN-1",
            "during": Range(hour(since), None if until is None else hour(until)),
        },
    )


async def test_two_units_do_not_carry_the_same_serial(connection: AsyncConnection) -> None:
    await add_identifier(connection, await add_unit(connection), 8)
    with pytest.raises(IntegrityError, match="uq_identifier_open"):
        await add_identifier(connection, await add_unit(connection), 9)


async def test_serial_that_was_taken_off_may_be_used_again(connection: AsyncConnection) -> None:
    await add_identifier(connection, await add_unit(connection), 8, 9)
    await add_identifier(connection, await add_unit(connection), 9)


async def test_ledger_has_one_head(connection: AsyncConnection) -> None:
    with pytest.raises(IntegrityError, match="ck_ledger_head_single_row"):
        await connection.execute(
            text("INSERT INTO ledger_head (one, next_position, era, xid, system_identifier) VALUES (2, 0, 1, '0', 'x')")
        )


async def test_keys_are_compared_by_their_bytes(connection: AsyncConnection) -> None:
    """Whatever the server's locale: upper before lower, and nothing but the same bytes is the same."""
    for serial in ("b", "B", "a-1", "a1"):
        await add_unit(connection, serial)
    rows = await connection.execute(text("SELECT serial FROM unit ORDER BY serial"))
    assert list(rows.scalars()) == ["B", "a-1", "a1", "b"]
