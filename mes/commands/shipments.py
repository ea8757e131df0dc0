"""Shipments: the gate that every unit passes on its way out, and the decision to let it. No button skips it."""

from collections.abc import Iterable, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from mes.commands.act import Act, number_of
from mes.commands.decisions import Decision, decide
from mes.commands.folding import Folding
from mes.db.contents import Inside, contents, pending_about
from mes.db.holds import holds_on
from mes.db.journal import new_id
from mes.db.units import LockedUnit
from mes.domain.facts import ShipmentDecided, entry
from mes.domain.gates import is_fit, reasons_against_leaving, some_of, unfit_in_words
from mes.domain.hold import LOT, PART, UNIT, WORK_ORDER, Hold
from mes.domain.refusals import Reason, Refusal, reason

SOURCE = "rest/shipments"


async def ship(connection: AsyncConnection, unit_id: str, act: Act, order: str | None, to: str | None) -> None:
    """Let a unit leave. Refuses with everything that speaks against it, in it or of anything it contains."""
    folding = Folding(connection, act.when)
    await folding.lock([unit_id])
    unit = folding.units[unit_id]
    inside = await contents(connection, unit_id)
    if reasons := await _reasons_against(connection, unit, inside, act):
        raise Refusal(*reasons)
    what = ShipmentDecided(unit_id, order, to)
    data = {"by": await number_of(connection, act.by)}
    decision = Decision(entry(act.when, SOURCE, new_id(), what), (unit.subject,), data)
    await decide(folding, act.site, [decision], act.at)


async def _reasons_against(
    connection: AsyncConnection, unit: LockedUnit, inside: Sequence[Inside], act: Act
) -> list[Reason]:
    """All that speaks against letting a unit leave."""
    reasons = list(reasons_against_leaving(unit.progress, unit.definition, act.when, await _holds(connection, inside)))
    others = [one for one in inside if one.unit_id != unit.id]
    if unfit := [one for one in others if not is_fit(one.state, is_made=one.is_made)]:
        parts = [{"part": one.part, "serial": one.serial, "state": one.state} for one in unfit]
        said = [unfit_in_words(f"{one.serial} ({one.part})", one.state or "", is_made=one.is_made) for one in unfit]
        reasons.append(reason("failed_part", some_of(said), parts=parts))
    if waiting := await pending_about(connection, [one.serial for one in inside if one.serial]):
        reasons.append(reason("facts_pending", messages=waiting))
    return reasons


async def _holds(connection: AsyncConnection, inside: Iterable[Inside]) -> list[Hold]:
    """Holds, of any time, on anything inside; those on stations hold no unit."""
    named: dict[str, set[str]] = {UNIT: set(), LOT: set(), PART: set(), WORK_ORDER: set()}
    for one in inside:
        for scope, key in ((UNIT, one.unit_id), (LOT, one.lot_id), (PART, one.part), (WORK_ORDER, one.order_number)):
            if key:
                named[scope].add(key)
    found = await holds_on(connection, set().union(*named.values()))
    return [hold for hold in found if hold.key in named.get(hold.scope, ())]
