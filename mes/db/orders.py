"""Work orders as their units move them: completed when enough units are, taken back when one falls back."""

from collections.abc import Iterable

from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.journal import Event, Subject
from mes.db.session import driver
from mes.domain.work_order import UNDONE_UNIT_STATES, State, after_counting

_TO_MOVE = """
    SELECT w.id::text, w.number, w.state, w.quantity FROM work_order w
    WHERE w.id = ANY($1::uuid[]) AND w.state IN ('released', 'completed') AND (w.state = 'completed') = ((
        SELECT count(*) FROM (
            SELECT FROM unit u WHERE u.work_order_id = w.id AND u.state = ANY($2)
            LIMIT greatest(w.units_made - w.quantity, 0) + 1) AS undone
        ) > w.units_made - w.quantity)
    ORDER BY w.id
"""
"""Orders that stand otherwise than their units have it. Of those not done it looks at no more than decide it: to count
all units for each that is completed would take the longer the larger the order is."""
_TYPES = {State.COMPLETED: "mes.order.completed", State.RELEASED: "mes.order.changed"}


async def follow_units(connection: AsyncConnection, order_ids: Iterable[str]) -> list[Event]:
    """Move orders to where the states of their units, as stored now, put them; the events to be journalled."""
    raw = await driver(connection)
    ids = sorted(set(order_ids))
    if not ids:
        return []
    await raw.execute("SELECT FROM work_order WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE", ids)
    orders = await raw.fetch(_TO_MOVE, ids, UNDONE_UNIT_STATES)
    if not orders:
        return []
    ids = [order["id"] for order in orders]
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
