"""Goods receipts: bought units and lots that arrived."""

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from mes.commands.ingest import Settled
from mes.commands.office import first_said, message, report
from mes.db.session import Database
from mes.formats.messages import PartReceived

SOURCE = "rest/goods-receipts"


class Receipt(NamedTuple):
    """One bought unit, or a quantity of a lot. `at` None: when it is reported."""

    id: str
    part: str
    serial: str | None
    lot: str | None
    quantity: Decimal | None
    maker: str | None
    date_code: str | None
    at: datetime | None


async def receive(database: Database, receipt: Receipt, at: datetime) -> Settled:
    """Record a receipt; the same id again is a duplicate. Refuses `unknown_part`, `conflicting_report`."""
    arrived = receipt.at or await first_said(database, SOURCE, receipt.id, at)
    data = PartReceived(
        receipt.part, arrived, receipt.serial, receipt.lot, receipt.quantity, receipt.maker, receipt.date_code
    )
    return await report(database, message("mes.part.received", SOURCE, receipt.id, data, arrived), at)
