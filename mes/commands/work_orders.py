"""Work orders: put by the ERP, released to the floor, changed while they run, ended.

Releasing makes the units (see `mes.commands.unit_creation`). An order on hold holds its units by a hold of scope
work_order, so that the floor needs to know one kind of hold only.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.commands import holds
from mes.commands.act import Act, number_of
from mes.commands.unit_creation import create_units
from mes.db import tables
from mes.db.journal import Event, Subject, append, new_id
from mes.domain import hold, work_order
from mes.domain.identity import is_placeholder
from mes.domain.refusals import Reason, Refusal, reason, refuse
from mes.formats.canonical import canonical, sha256

_ENTRIES = {
    "release": "mes.order.released",
    "hold": "mes.order.held",
    "resume": "mes.order.changed",
    "close": "mes.order.closed",
    "cancel": "mes.order.cancelled",
    "complete": "mes.order.completed",
    "reopen": "mes.order.changed",
}
"""The journal's type of each move."""

_OWN_HOLD = text(
    """
    SELECT h.id FROM hold h WHERE h.released_by IS NULL AND h.id = (
        SELECT CAST(j.body::json #>> '{data,hold}' AS uuid)
        FROM journal_subject s JOIN journal j ON j.id = s.entry_id
        WHERE s.subject_id = :order_id AND j.type = 'mes.order.held' ORDER BY s.number DESC LIMIT 1
    )
    """
)


class Order(NamedTuple):
    """An order as the ERP puts it. `serials` None: the product's pattern makes them."""

    number: str
    part: str
    revision: str
    quantity: int
    due: date | None = None
    priority: int = 0
    customer_order: str | None = None
    serials: tuple[str, ...] | None = None


class Changes(NamedTuple):
    """What to change about an order, by column; `version` is the one that was read (None: whatever it is)."""

    version: int | None
    values: dict[str, Any]


async def put_order(connection: AsyncConnection, order: Order, act: Act) -> bool:
    """Create an order; False when the same was put before. Refuses `order_conflict` and what is wrong with it."""
    digest = sha256(canonical({**order._asdict(), "due": order.due and order.due.isoformat()}))
    table = tables.work_order
    known = select(table.c.digest).where(table.c.site == act.site, table.c.number == order.number)
    found = (await connection.execute(known)).scalar_one_or_none()
    if found is None:
        product_id = await _product_for(connection, order)
        if await _insert(connection, order, product_id, digest, act):
            return True
        found = (await connection.execute(known)).scalar_one()
    if found != digest:
        raise refuse("order_conflict", number=order.number)
    return False


async def move_order(connection: AsyncConnection, number: str, verb: str, act: Act, because: str | None = None) -> None:
    """Release, hold, resume, close or cancel an order. Refuses `unknown_order`, `move_not_allowed` and, for a
    release, what `create_units` refuses."""
    order = await _locked(connection, number, act.site)
    state = work_order.move(order.state, verb)
    values: dict[str, Any] = {"state": state.value}
    if verb == "release":
        values["released_at"] = act.when
    if state in (work_order.State.CLOSED, work_order.State.CANCELLED):
        values["ended_at"] = act.when
    await _update(connection, order.id, values)
    data = {"number": number, "state": state.value, "by": await number_of(connection, act.by), **act.dated}
    if because:
        data["reason"] = because
    if verb == "release":
        data["quantity"] = order.quantity
    if verb == "hold":
        why = because or "The work order is on hold."
        data["hold"] = await holds.place(connection, hold.WORK_ORDER, number, why, act)
    elif order.state == work_order.State.HELD and (own := await _own_hold(connection, order.id)):
        await holds.release(connection, own, act)
    await append(connection, [Event(_ENTRIES[verb], [_subject(order)], data)], site=act.site, at=act.at)
    if verb == "release":
        await create_units(connection, order, order.quantity, act)


async def _own_hold(connection: AsyncConnection, order_id: str) -> str | None:
    """The hold by which the order was put on hold last, unless it was released; others on it are not its own."""
    found = (await connection.execute(_OWN_HOLD, {"order_id": order_id})).scalar_one_or_none()
    return str(found) if found else None


async def change_order(connection: AsyncConnection, number: str, changes: Changes, act: Act) -> None:
    """Change quantity, due or priority. Refuses `unknown_order`, `version_mismatch`, `work_order_closed`,
    `below_started`, `serials_mismatch`. More units of a released order are created at once."""
    order = await _locked(connection, number, act.site)
    if changes.version not in (None, order.version):
        raise refuse("version_mismatch", version=order.version, given=changes.version)
    if order.ended_at is not None:
        raise refuse("work_order_closed", state=order.state)
    if all(getattr(order, name) == value for name, value in changes.values.items()):
        return
    counts = await _units_by_state(connection, order.id)
    quantity = changes.values.get("quantity", order.quantity)
    _check_quantity(order, quantity, counts)
    state = work_order.after_counting(order.state, quantity, counts)
    await _update(connection, order.id, {**changes.values, "state": state.value})
    told = {name: value.isoformat() if isinstance(value, date) else value for name, value in changes.values.items()}
    by = await number_of(connection, act.by)
    events = [Event("mes.order.changed", [_subject(order)], {"number": number, "changed": told, "by": by})]
    if state == work_order.State.COMPLETED != order.state:
        events.append(Event("mes.order.completed", [_subject(order)], {"number": number, "state": state.value}))
    await append(connection, events, site=act.site, at=act.at)
    missing = quantity - sum(counts.values())
    if order.released_at is not None and missing > 0:
        await create_units(connection, order, missing, act)


def _check_quantity(order: Row[Any], quantity: int, counts: dict[str, int]) -> None:
    started = sum(count for state, count in counts.items() if state != "created")
    if quantity < started:
        raise refuse("below_started", started=started, quantity=quantity)
    if order.serials is not None and quantity != len(order.serials):
        raise refuse("serials_mismatch", quantity=quantity, serials=len(order.serials))


async def _units_by_state(connection: AsyncConnection, order_id: str) -> dict[str, int]:
    table = tables.unit
    counted = (
        select(table.c.state, func.count().label("units"))
        .where(table.c.work_order_id == order_id)
        .group_by(table.c.state)
    )
    return {row.state: row.units for row in await connection.execute(counted)}


async def _locked(connection: AsyncConnection, number: str, site: str) -> Row[Any]:
    table = tables.work_order
    found = select(table).where(table.c.site == site, table.c.number == number).with_for_update()
    row = (await connection.execute(found)).one_or_none()
    if row is None:
        raise refuse("unknown_order", number=number)
    return row


async def _update(connection: AsyncConnection, order_id: str, values: dict[str, Any]) -> None:
    table = tables.work_order
    await connection.execute(update(table).where(table.c.id == order_id).values(version=table.c.version + 1, **values))


def _subject(order: Row[Any]) -> Subject:
    return Subject("work_order", order.id, order.number)


async def _product_for(connection: AsyncConnection, order: Order) -> str:
    """The id of the product an order is for. Refuses everything that is wrong with the order."""
    table = tables.product
    found = select(table.c.id, table.c.source, table.c.tracking).where(
        table.c.part == order.part, table.c.revision == order.revision
    )
    row = (await connection.execute(found)).one_or_none()
    wrong = list(_wrong_serials(order.serials, order.quantity)) if order.serials is not None else []
    if row is None:
        wrong.append(reason("unknown_product", part=order.part, revision=order.revision))
    elif (row.source, row.tracking) != ("made", "serial"):
        wrong.append(reason("not_serialized", part=order.part, source=row.source, tracking=row.tracking))
    if wrong or row is None:
        raise Refusal(*wrong)
    product_id: str = row.id
    return product_id


def _wrong_serials(serials: Sequence[str], quantity: int) -> list[Reason]:
    wrong = []
    if len(serials) != quantity:
        wrong.append(reason("serials_mismatch", quantity=quantity, serials=len(serials)))
    if len(set(serials)) != len(serials):
        twice = sorted({one for one in serials if serials.count(one) > 1})[:20] if len(serials) < 1000 else []
        wrong.append(reason("serials_mismatch", "A serial is given twice.", serials=twice))
    if placeholders := [one for one in serials if is_placeholder(one)]:
        wrong.append(reason("placeholder_serial", serials=placeholders[:20]))
    return wrong


async def _insert(connection: AsyncConnection, order: Order, product_id: str, digest: str, act: Act) -> bool:
    """Insert and journal; False when someone else put an order of this number meanwhile."""
    table = tables.work_order
    order_id = new_id()
    values = {
        "quantity": order.quantity,
        "due": order.due,
        "priority": order.priority,
        "customer_order": order.customer_order,
        "serials": list(order.serials) if order.serials is not None else None,
    }
    statement = (
        postgresql.insert(table)
        .values(
            id=order_id,
            site=act.site,
            number=order.number,
            product_id=product_id,
            digest=digest,
            state=work_order.State.CREATED.value,
            created_at=act.when,
            **values,
        )
        .on_conflict_do_nothing(index_elements=["site", "number"])
    )
    if (await connection.execute(statement)).rowcount == 0:
        return False
    data = {
        "number": order.number,
        "part": order.part,
        "revision": order.revision,
        "quantity": order.quantity,
        "priority": order.priority,
        "by": await number_of(connection, act.by),
        **act.dated,
    }
    if order.due:
        data["due"] = order.due.isoformat()
    if order.customer_order:
        data["customer_order"] = order.customer_order
    event = Event("mes.order.created", [Subject("work_order", order_id, order.number)], data)
    await append(connection, [event], site=act.site, at=act.at)
    return True
