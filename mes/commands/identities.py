"""What is printed on a unit. A new serial takes the place of the old one; unit, genealogy and trace go on."""

from collections.abc import Sequence
from datetime import datetime

from mes.commands.ingest import Settled
from mes.commands.office import first_said, message, report
from mes.db.lookup import find_unit
from mes.db.session import Database
from mes.formats.messages import Identifier, UnitIdentified, UnitRef

SOURCE = "rest/identities"


async def identify(
    database: Database, unit: UnitRef, identifiers: Sequence[tuple[str, str]], id: str, at: datetime
) -> tuple[Settled, str]:
    """Record identifiers (kind, value) of a unit; gives what became of the report and the unit's id.

    Refuses `unknown_unit`, `ambiguous_serial`, and `serial_taken` when another unit of the part carries one.
    """
    async with database.reading() as connection:
        found = await find_unit(connection, unit.serial, unit.part)
    data = UnitIdentified(
        UnitRef(found.serial, found.part), tuple(Identifier(kind, value) for kind, value in identifiers)
    )
    said_at = await first_said(database, SOURCE, id, at)
    settled = await report(database, message("mes.unit.identified", SOURCE, id, data, said_at), at)
    return settled, found.id
