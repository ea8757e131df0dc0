"""What an inventory says against the record, and against which steps."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.inventories import Inventory, built_in
from mes.domain.inventory import Built, Item, compare, reasons_of, wrong_firmware
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
    return reasons_by(inventory.items, await built_in(connection, inventory.unit_id, inventory.at), definition)


def reasons_by(items: Sequence[Item], built: Sequence[Built], definition: Definition | None) -> list[Reason]:
    """What is wrong by what was read, compared with what was built in."""
    return reasons_of(compare(built, items, definition), wrong_firmware(items, definition))


def holds_up(read_in: str | None, definition: Definition | None, step: str) -> bool:
    """Whether an inventory that was read in one step matters to another: it does to those that come after.

    That step itself and those before it may be done again: there it is put right. One that was read before any step
    of the route had begun matters to all of them.
    """
    route = route_of(definition)
    return step in route.steps and (read_in not in route.steps or read_in in route.before[step])
