"""What an inventory says against the record, when it comes and when a later step is asked for."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.inventories import Inventory, built_in, newest_inventory
from mes.db.units import LockedUnit
from mes.domain.inventory import BLOCKING, Item, compare, reasons_of, wrong_firmware
from mes.domain.product import Definition
from mes.domain.refusals import Reason
from mes.domain.route import route_of
from mes.formats import redfish
from mes.formats.messages import InventoryRead


def items_of(data: InventoryRead) -> tuple[Item, ...]:
    """The items of a message, whatever form they have."""
    if data.redfish:
        return tuple(redfish.items(data.redfish))
    return tuple(
        Item(one.position, one.part, one.serial or None, _versions(one.firmware), one.kind) for one in data.items
    )


def _versions(firmware: str | dict[str, str] | None) -> dict[str, str]:
    if isinstance(firmware, str):
        return {"": firmware}
    return firmware or {}


async def inventory_reasons(
    connection: AsyncConnection, inventory: Inventory, definition: Definition | None
) -> list[Reason]:
    """What is wrong by an inventory, compared with what was in the unit when it was read."""
    built = await built_in(connection, inventory.unit_id, inventory.at)
    slots = compare(built, inventory.items, definition)
    return reasons_of(slots, wrong_firmware(inventory.items, definition))


async def reasons_against_going_on(connection: AsyncConnection, unit: LockedUnit, step: str) -> Sequence[Reason]:
    """What the unit's newest inventory says against a step that comes after the one in which it was read.

    That step itself and those before it may be done again: there it is put right.
    """
    newest = await newest_inventory(connection, unit.id)
    if newest is None or newest.step not in route_of(unit.definition).before.get(step, ()):
        return ()
    found = await inventory_reasons(connection, newest.inventory, unit.definition)
    return [one for one in found if one.code in BLOCKING]
