"""Work orders as their units move them: completed when enough units are, taken back when one falls back."""

from collections.abc import Iterable

from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.journal import Event, Subject
from mes.db.session import driver
from mes.domain.work_order import State, after_counting

_TYPES = {State.COMPLETED: "mes.order.completed", State.RELEASED: "mes.order.changed"}


async def follow_units(connection: AsyncConnection, order_ids: Iterable[str]) -> list[Event]:
    """Move orders to where the states of their units, as stored now, put them; the events to be journalled."""
    raw = await driver(connection)
    ids = sorted(set(order_ids))
    if not ids:
        return []
    orders = await raw.fetch(
        "SELECT id::text, number, state, quantity FROM work_order WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE",
        ids,
    )
    counts: dict[str, dict[str, int]] = {one: {} for one in ids}
    for row in await raw.fetch(
        """
        SELECT work_order_id::text AS id, state, count(*) AS units FROM unit
        WHERE work_order_id = ANY($1::uuid[]) GROUP BY 1, 2
        """,
        ids,
    ):
        counts[row["id"]][row["state"]] = row["units"]
    events = []
    for order in orders:
        state = after_counting(order["state"], order["quantity"], counts[order["id"]])
        if state == order["state"]:
            continue
        await raw.execute(
            "UPDATE work_order SET state = $2, version = version + 1 WHERE id = $1", order["id"], state.value
        )
        data = {"state": state.value, "units": counts[order["id"]]}
        events.append(Event(_TYPES[state], [Subject("work_order", order["id"], order["number"])], data))
    return events
