"""Lots of material by what is printed on them."""

from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.journal import new_id
from mes.db.session import driver


class LotKey(NamedTuple):
    """What tells a lot from another; `maker` is empty when not told."""

    part: str
    maker: str
    lot: str


class LotReceipt(NamedTuple):
    """Some of a lot that arrived."""

    lot_id: str
    quantity: Decimal | None
    date_code: str | None


async def lots_named(connection: AsyncConnection, keys: Collection[LotKey]) -> dict[LotKey, str]:
    """Ids of known lots."""
    if not keys:
        return {}
    rows = await (await driver(connection)).fetch(
        """
        SELECT l.part, l.maker, l.lot, l.id::text FROM lot l
        JOIN unnest($1::text[], $2::text[], $3::text[]) AS k (part, maker, lot)
          ON k.part = l.part AND k.maker = l.maker AND k.lot = l.lot
        """,
        [key.part for key in keys],
        [key.maker for key in keys],
        [key.lot for key in keys],
    )
    return {LotKey(part, maker, lot): lot_id for part, maker, lot, lot_id in rows}


async def create_lots(connection: AsyncConnection, keys: Sequence[LotKey], at: datetime) -> dict[LotKey, str]:
    """Make lots known. The caller holds their names (`mes.db.units.lock_names`) and found none of them."""
    made = {key: new_id() for key in keys}
    if made:
        await (await driver(connection)).copy_records_to_table(
            "lot",
            columns=("id", "part", "maker", "lot", "created_at"),
            records=[(lot_id, *key, at) for key, lot_id in made.items()],
        )
    return made


async def receive_lots(connection: AsyncConnection, receipts: Sequence[LotReceipt]) -> None:
    """Add what arrived to what was received before."""
    if not receipts:
        return
    await (await driver(connection)).executemany(
        """
        UPDATE lot SET quantity_received = coalesce(quantity_received, 0) + coalesce($2, 0),
                       date_code = coalesce($3, date_code) WHERE id = $1
        """,
        [tuple(one) for one in receipts],
    )
